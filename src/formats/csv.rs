//! CSV, one line a record.

use super::{Decode, Limits, Reason, Rejected};
use crate::error::{Error, Kind, Result};
use crate::sources::Raw;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// CSV as in RFC 4180, but a record is one line: a quoted field holds no line break.
///
/// The columns are given by name and order, from configuration or the row's declared fields, never taken from the
/// file: a reader that begins in the middle of a file would not see them. A file's header line is *checked* against them.
/// Fields are taken as they stand, spaces included. An empty field is `None` for an `Option`.
#[derive(Clone, Debug)]
pub struct Csv {
    limits: Limits,
    columns: Arc<csv::StringRecord>,
    delimiter: u8,
    header_line: bool,
}

impl Csv {
    /// CSV with these columns, separated by commas, without a header line.
    ///
    /// # Errors
    /// `Config` if there is no column or a name occurs twice.
    pub fn new<S: AsRef<str>>(columns: impl IntoIterator<Item = S>) -> Result<Csv> {
        let mut record = csv::StringRecord::new();
        for column in columns {
            let column = column.as_ref();
            if record.iter().any(|known| known == column) {
                return Err(Error::config(format!("CSV column \"{column}\" is named twice")));
            }
            record.push_field(column);
        }
        if record.is_empty() {
            return Err(Error::config("CSV needs the names of its columns"));
        }
        Ok(Csv {
            limits: Limits::default(),
            columns: Arc::new(record),
            delimiter: b',',
            header_line: false,
        })
    }

    /// The same with these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Csv {
        self.limits = limits;
        self
    }

    /// The same with fields separated by `delimiter`.
    ///
    /// # Errors
    /// `Config` if it is a quote, a line break or not ASCII.
    pub fn delimiter(mut self, delimiter: char) -> Result<Csv> {
        match u8::try_from(delimiter) {
            Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => {
                self.delimiter = byte;
                Ok(self)
            }
            _ => Err(Error::config(format!(
                "{delimiter:?} can't separate CSV fields; use an ASCII character other than a quote or line break"
            ))),
        }
    }

    /// The same, where the record at offset 0 of each partition names the columns. It is no row; other names than declared reject
    /// it.
    #[must_use]
    pub fn header_line(mut self, present: bool) -> Csv {
        self.header_line = present;
        self
    }

    fn check_header(&self, found: &csv::StringRecord) -> Result<(), Rejected> {
        if *found == *self.columns {
            return Ok(());
        }
        let list = |record: &csv::StringRecord| record.iter().collect::<Vec<_>>().join(",");
        Err(Rejected::new(
            Reason::Malformed,
            format!(
                "the header line is \"{}\", declared are \"{}\"",
                list(found),
                list(&self.columns)
            ),
        ))
    }
}

impl<'a, D: DeserializeOwned> Decode<'a, D> for Csv {
    fn decode(&self, raw: &Raw<'a>) -> Result<Option<D>, Rejected> {
        let text = self.limits.text(raw)?;
        let header = self.header_line && raw.offset == 0;
        // Spreadsheets begin a file with a byte order mark.
        let text =
            if raw.offset == 0 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let record = split(text, self.delimiter, self.columns.len())?;
        if header {
            return self.check_header(&record).map(|()| None);
        }
        let (found, wanted) = (record.len(), self.columns.len());
        if found != wanted {
            let reason = if found < wanted { Reason::MissingField } else { Reason::Malformed };
            return Err(Rejected::new(reason, format!("{found} fields, declared are {wanted}")));
        }
        record.deserialize(Some(&self.columns)).map(Some).map_err(|error| self.reject(&error))
    }
}

impl Csv {
    fn reject(&self, error: &csv::Error) -> Rejected {
        let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
            return Rejected::new(Reason::Malformed, error.to_string());
        };
        let text = err.kind().to_string();
        let reason = if text.contains("missing field") {
            Reason::MissingField
        } else if text.contains(super::json::EVENT_TIME_RANGE) {
            Reason::EventTimeRange
        } else {
            Reason::Malformed
        };
        let column = err.field().and_then(|at| self.columns.get(usize::try_from(at).ok()?));
        let place = column.map(|name| format!("column \"{name}\": ")).unwrap_or_default();
        Rejected::new(reason, place + &text)
    }
}

/// The fields of a line. Strict: a quote stands around a whole field or, doubled, within quotes.
fn split(line: &str, delimiter: u8, columns: usize) -> Result<csv::StringRecord, Rejected> {
    let malformed = |at: usize, what: &str| {
        Err(Rejected::new(Reason::Malformed, format!("{what} at byte {at} of the line")))
    };
    let bytes = line.as_bytes();
    let mut record = csv::StringRecord::with_capacity(line.len(), columns);
    let mut at = 0;
    loop {
        let end = if bytes.get(at) == Some(&b'"') {
            let mut field = String::new();
            let mut from = at + 1;
            // Each turn takes the text up to a quote, which is doubled or the last.
            let close = loop {
                let Some(quote) = memchr::memchr(b'"', &bytes[from..]).map(|i| from + i) else {
                    return malformed(at, "a quoted field that does not end: it begins");
                };
                field.push_str(&line[from..quote]);
                if bytes.get(quote + 1) != Some(&b'"') {
                    break quote;
                }
                field.push('"');
                from = quote + 2;
            };
            record.push_field(&field);
            close + 1
        } else {
            let end = memchr::memchr(delimiter, &bytes[at..]).map_or(bytes.len(), |i| at + i);
            if let Some(quote) = memchr::memchr(b'"', &bytes[at..end]) {
                return malformed(at + quote, "a quote inside a field without quotes");
            }
            record.push_field(&line[at..end]);
            end
        };
        match bytes.get(end) {
            None => return Ok(record),
            Some(byte) if *byte == delimiter => at = end + 1,
            Some(_) => return malformed(end, "text behind a quoted field"),
        }
    }
}

/// Appends the row as a line of CSV, in the order of its fields, without a line end: the same row gives the same bytes. What is `None` is an
/// empty field, as is an empty `String`. After an error `out` is as it was.
///
/// # Errors
/// `Input` if the row can't be a line: a field that is a struct, an enum with fields, a map, or holds a line break.
pub fn encode_csv_into<T: Serialize + ?Sized>(row: &T, out: &mut Vec<u8>) -> Result<()> {
    let before = out.len();
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .buffer_capacity(256)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(&mut *out);
    let written = writer.serialize(row).and_then(|()| Ok(writer.flush()?));
    drop(writer);
    let problem = match written {
        Err(error) => error.to_string(),
        Ok(()) => {
            out.truncate(out.len().saturating_sub(1).max(before));
            if memchr::memchr2(b'\n', b'\r', &out[before..]).is_none() {
                return Ok(());
            }
            "a field holds a line break".to_owned()
        }
    };
    out.truncate(before);
    Err(Error::new(Kind::Input, format!("the row can't be written as a line of CSV: {problem}")))
}

#[cfg(test)]
mod tests;
