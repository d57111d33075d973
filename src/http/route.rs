//! From method, path and query string to what is wanted; pure, strict, and with the allowed things named in each refusal.

use super::answer::Refusal;
use crate::ids::Tick;
use std::collections::BTreeMap;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Page,
    Health,
    Ready,
    Metrics,
    Job,
    Record(Tick),
    Views,
    View {
        view: String,
        read: Read,
    },
    Changes {
        view: String,
        from_tick: Option<Tick>,
    },
    Savepoint,
    Stop,
    /// `POST /api/v1/job/retry`.
    Retry,
    /// `POST /api/v1/job/skip`.
    Skip,
}

impl Route {
    /// The route's name in metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Route::Page => "/",
            Route::Health => "/healthz",
            Route::Ready => "/readyz",
            Route::Metrics => "/metrics",
            Route::Job => "/api/v1/job",
            Route::Record(_) => "/api/v1/job/ticks/T",
            Route::Views => "/api/v1/views",
            Route::View { .. } => "/api/v1/views/NAME",
            Route::Changes { .. } => "/api/v1/views/NAME/changes",
            Route::Savepoint => "/api/v1/job/savepoint",
            Route::Stop => "/api/v1/job/stop",
            Route::Retry => "/api/v1/job/retry",
            Route::Skip => "/api/v1/job/skip",
        }
    }

    /// Whether it is answered without a token: it says nothing about the data.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Route::Page | Route::Health | Route::Ready)
    }
}

/// A read of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) key: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) as_of: Option<Tick>,
    pub(super) after: Option<Tick>,
    pub(super) next: Option<String>,
}

/// What the request wants.
///
/// # Errors
/// `not-found`, `method-not-allowed` or `bad-request`.
pub(super) fn route(method: &str, path: &str, query: &str) -> Result<Route, Refusal> {
    let segments: Vec<String> =
        path.split('/').skip(1).map(|part| decode(part, false)).collect::<Result<_, _>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let allow = |allowed: &'static [&'static str]| match method {
        _ if allowed.contains(&method) => Ok(()),
        _ => Err(Refusal::method(path, allowed)),
    };
    const GET: &[&str] = &["GET", "HEAD"];
    const POST: &[&str] = &["POST"];
    let route = match segments.as_slice() {
        [""] => {
            allow(GET)?;
            Route::Page
        }
        ["healthz"] => {
            allow(GET)?;
            Route::Health
        }
        ["readyz"] => {
            allow(GET)?;
            Route::Ready
        }
        ["metrics"] => {
            allow(GET)?;
            Route::Metrics
        }
        ["api", "v1", "job"] => {
            allow(GET)?;
            Route::Job
        }
        ["api", "v1", "job", "savepoint"] => {
            allow(POST)?;
            Route::Savepoint
        }
        ["api", "v1", "job", "stop"] => {
            allow(POST)?;
            Route::Stop
        }
        ["api", "v1", "job", "retry"] => {
            allow(POST)?;
            Route::Retry
        }
        ["api", "v1", "job", "skip"] => {
            allow(POST)?;
            Route::Skip
        }
        ["api", "v1", "job", "ticks", tick] => {
            allow(GET)?;
            Route::Record(number("the tick in the path", tick)?)
        }
        ["api", "v1", "views"] => {
            allow(GET)?;
            Route::Views
        }
        ["api", "v1", "views", view] if !view.is_empty() => {
            allow(GET)?;
            return Ok(Route::View { view: (*view).to_owned(), read: read(query)? });
        }
        ["api", "v1", "views", view, "changes"] if !view.is_empty() => {
            allow(&["GET"])?;
            let mut given = parameters(query, &["from_tick"])?;
            let from_tick = given.remove("from_tick");
            let from_tick = from_tick.map(|text| number("from_tick", &text)).transpose()?;
            return Ok(Route::Changes { view: (*view).to_owned(), from_tick });
        }
        _ => return Err(Refusal::not_found(path)),
    };
    parameters(query, &[])?;
    Ok(route)
}

fn read(query: &str) -> Result<Read, Refusal> {
    let names = ["key", "from", "to", "limit", "as_of", "after", "next"];
    let mut given = parameters(query, &names)?;
    let clash = |a: &str, others: &[&str]| {
        let other = others.iter().find(|b| given.contains_key(a) && given.contains_key(**b));
        other.map_or(Ok(()), |b| {
            Err(Refusal::bad(format!("{a}= and {b}= do not go together; give one of them")))
        })
    };
    clash("key", &["from", "to"])?;
    clash("as_of", &["after"])?;
    // A continuation carries the tick and the bounds of its first page.
    clash("next", &["key", "from", "to", "as_of", "after"])?;
    let mut tick = |name: &str| given.remove(name).map(|text| number(name, &text)).transpose();
    let (limit, as_of, after) = (tick("limit")?, tick("as_of")?, tick("after")?);
    if limit == Some(0) {
        return Err(Refusal::bad("limit=0 asks for nothing; give a number of rows from 1 on"));
    }
    Ok(Read {
        key: given.remove("key"),
        from: given.remove("from"),
        to: given.remove("to"),
        limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        as_of,
        after,
        next: given.remove("next"),
    })
}

/// The parameters of a query string, each at most once and each allowed.
fn parameters(query: &str, allowed: &[&str]) -> Result<BTreeMap<String, String>, Refusal> {
    let mut given = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name, true)?, decode(value, true)?);
        if !allowed.contains(&name.as_str()) {
            let allowed = match allowed {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            return Err(Refusal::bad(format!("unknown parameter {name:?}; allowed: {allowed}")));
        }
        if given.insert(name.clone(), value).is_some() {
            return Err(Refusal::bad(format!("parameter {name} is given twice")));
        }
    }
    Ok(given)
}

fn number(name: &str, text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| {
        Refusal::bad(format!("{name} = {text:?} is no whole number from 0 to 2^64 - 1"))
    })
}

/// Undoes percent-encoding (and `+` for a space, in query strings).
fn decode(text: &str, plus: bool) -> Result<String, Refusal> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' if plus => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => {
                        return Err(Refusal::bad(format!(
                            "{text:?}: % is not followed by two hex digits"
                        )));
                    }
                }
            }
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| Refusal::bad(format!("{text:?} is not UTF-8")))
}

#[cfg(test)]
mod tests;
