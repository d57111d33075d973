//! What a row type looks like: readable, stored beside rows as JSON, compared when a newer program reads them. No bytes of rows,
//! except the defaults that a current schema carries for its migration.

use super::Row;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// The version of the encoding that this program writes.
pub const ENCODING: u16 = 1;

/// The schema of a row type, or of what is kept under a uid.
///
/// Two schemas are equal if rows of one are rows of the other; what a current schema knows about its past
/// (`#[row(was, default, removed)]`) is not compared and not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The version of the encoding.
    pub encoding: u16,
    /// The shape of a value.
    pub shape: Type,
    /// What else must stay the same for rows to keep their meaning: window size, lateness, aggregates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
}

/// The shape of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the type of its name")]
pub enum Type {
    Unit,
    Bool,
    Char,
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F64,
    Decimal,
    EventTime,
    String,
    Option(Box<Type>),
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    Array(Box<Type>, u32),
    Struct(Struct),
    Enum(Enum),
}

/// A struct: its name and fields in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struct {
    /// The type's name without its path.
    pub name: String,
    /// The fields.
    pub fields: Fields,
    /// Earlier names.
    #[serde(skip)]
    pub was: Past<Vec<&'static str>>,
}

/// An enum: its name and variants, numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enum {
    /// The type's name without its path.
    pub name: String,
    /// The variants.
    pub variants: Vec<Variant>,
    /// Earlier names.
    #[serde(skip)]
    pub was: Past<Vec<&'static str>>,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Its fields.
    pub fields: Fields,
    /// Earlier names.
    #[serde(skip)]
    pub was: Past<Vec<&'static str>>,
}

/// Fields in the order of their bytes; those of tuples are called `0`, `1`, ...
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields {
    /// The fields.
    pub list: Vec<Field>,
    /// Fields that stored rows may have and that are dropped.
    #[serde(skip)]
    pub removed: Past<Vec<(&'static str, Type)>>,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub shape: Type,
    /// Earlier names.
    #[serde(skip)]
    pub was: Past<Vec<&'static str>>,
    /// The bytes that stored rows without the field get.
    #[serde(skip)]
    pub default: Past<Option<Vec<u8>>>,
}

/// What a current schema knows about earlier ones. Takes no part in comparisons: any two are equal.
#[derive(Clone, Debug, Default)]
pub struct Past<T>(pub T);

impl<T> PartialEq for Past<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Past<T> {}

impl From<Type> for Schema {
    fn from(shape: Type) -> Schema {
        Schema { encoding: ENCODING, shape, settings: BTreeMap::new() }
    }
}

impl Schema {
    /// The schema with a setting that must stay the same: `.with("window", "tumbling 10 s")`.
    #[must_use]
    pub fn with(mut self, setting: impl Into<String>, value: impl fmt::Display) -> Schema {
        self.settings.insert(setting.into(), value.to_string());
        self
    }

    /// The type's name: `Click`, `u64`, `Vec<Click>`. Does not list fields.
    pub fn name(&self) -> String {
        self.shape.name()
    }

    /// XXH3-64 of the schema's JSON. Equal schemas have equal fingerprints, in every release of this encoding.
    pub fn fingerprint(&self) -> u64 {
        crate::hash::chain(0, self.to_json().as_bytes())
    }

    /// The schema as it is stored, on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a schema has only strings as keys")
    }

    /// The schema that was stored as `json`.
    ///
    /// # Errors
    /// `Corrupt` if it is none, or one of a newer release.
    pub fn from_json(json: &str) -> Result<Schema> {
        serde_json::from_str(json).map_err(|error| {
            Error::corrupt(format!("stored schema cannot be read: {error}: {json}"))
        })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shape)?;
        for (name, value) in &self.settings {
            write!(f, ", {name} = {value}")?;
        }
        Ok(())
    }
}

impl Type {
    /// The name without fields.
    pub fn name(&self) -> String {
        match self {
            Type::Struct(it) => it.name.clone(),
            Type::Enum(it) => it.name.clone(),
            Type::Option(of) => format!("Option<{}>", of.name()),
            Type::List(of) => format!("Vec<{}>", of.name()),
            Type::Set(of) => format!("BTreeSet<{}>", of.name()),
            Type::Map(key, value) => format!("BTreeMap<{}, {}>", key.name(), value.name()),
            Type::Array(of, count) => format!("[{}; {count}]", of.name()),
            Type::Tuple(of) => {
                let names: Vec<_> = of.iter().map(Type::name).collect();
                format!("({})", names.join(", "))
            }
            plain => plain.to_string(),
        }
    }

    fn plain(&self) -> &'static str {
        match self {
            Type::Unit => "()",
            Type::Bool => "bool",
            Type::Char => "char",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::U128 => "u128",
            Type::I8 => "i8",
            Type::I16 => "i16",
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::I128 => "i128",
            Type::F64 => "F64",
            Type::Decimal => "Decimal",
            Type::EventTime => "EventTime",
            Type::String => "String",
            Type::Option(_) => "Option",
            Type::List(_) => "Vec",
            Type::Set(_) => "BTreeSet",
            Type::Map(..) => "BTreeMap",
            Type::Tuple(_) => "tuple",
            Type::Array(..) => "array",
            Type::Struct(_) => "struct",
            Type::Enum(_) => "enum",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Option(of) => write!(f, "Option<{of}>"),
            Type::List(of) => write!(f, "Vec<{of}>"),
            Type::Set(of) => write!(f, "BTreeSet<{of}>"),
            Type::Map(key, value) => write!(f, "BTreeMap<{key}, {value}>"),
            Type::Array(of, count) => write!(f, "[{of}; {count}]"),
            Type::Tuple(of) => {
                f.write_str("(")?;
                separated(f, of, ", ", |f, item| write!(f, "{item}"))?;
                f.write_str(")")
            }
            Type::Struct(it) => write!(f, "{}{}", it.name, it.fields),
            Type::Enum(it) => {
                write!(f, "{} {{ ", it.name)?;
                separated(f, &it.variants, " | ", |f, v| write!(f, "{}{}", v.name, v.fields))?;
                f.write_str(" }")
            }
            plain => f.write_str(plain.plain()),
        }
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbered = |(i, field): (usize, &Field)| field.name == i.to_string();
        if self.list.is_empty() {
            Ok(())
        } else if self.list.iter().enumerate().all(numbered) {
            f.write_str("(")?;
            separated(f, &self.list, ", ", |f, field| write!(f, "{}", field.shape))?;
            f.write_str(")")
        } else {
            f.write_str(" { ")?;
            separated(f, &self.list, ", ", |f, field| {
                write!(f, "{}: {}", field.name, field.shape)
            })?;
            f.write_str(" }")
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    separator: &str,
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        each(f, item)?;
    }
    Ok(())
}

impl Fields {
    /// No fields yet.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Adds a field of type `T`, with its earlier names.
    #[must_use]
    pub fn field<T: Row>(self, name: &str, was: &[&'static str]) -> Fields {
        self.push(name, was, T::schema().shape, None)
    }

    /// As [`Fields::field`]; stored rows that lack it get `default`.
    #[must_use]
    pub fn field_or<T: Row>(self, name: &str, was: &[&'static str], default: &T) -> Fields {
        self.push(name, was, T::schema().shape, Some(super::to_bytes(default)))
    }

    /// Allows stored rows to have a field of type `T`, which is dropped.
    #[must_use]
    pub fn removed<T: Row>(mut self, name: &'static str) -> Fields {
        self.removed.0.push((name, T::schema().shape));
        self
    }

    fn push(
        mut self,
        name: &str,
        was: &[&'static str],
        shape: Type,
        default: Option<Vec<u8>>,
    ) -> Fields {
        let (was, default) = (Past(was.to_vec()), Past(default));
        self.list.push(Field { name: name.to_owned(), shape, was, default });
        self
    }
}

/// The variants of an enum as they are listed.
#[derive(Clone, Debug, Default)]
pub struct Variants(Vec<Variant>);

impl Variants {
    /// No variants yet.
    pub fn new() -> Variants {
        Variants::default()
    }

    /// Adds a variant, with its earlier names.
    #[must_use]
    pub fn variant(mut self, name: &str, was: &[&'static str], fields: Fields) -> Variants {
        self.0.push(Variant { name: name.to_owned(), fields, was: Past(was.to_vec()) });
        self
    }

    /// The schema of the enum `name` with these variants.
    pub fn enumeration(self, name: &str, was: &[&'static str]) -> Schema {
        Type::Enum(Enum { name: name.to_owned(), variants: self.0, was: Past(was.to_vec()) }).into()
    }
}

/// The schema of the struct `name`.
pub fn structure(name: &str, was: &[&'static str], fields: Fields) -> Schema {
    Type::Struct(Struct { name: name.to_owned(), fields, was: Past(was.to_vec()) }).into()
}

/// What `make` gives, unless it asks for the schema of `T` again.
///
/// # Panics
/// If `T` contains itself.
pub fn named<T: Row>(make: fn() -> Schema) -> Schema {
    thread_local! {
        static MAKING: RefCell<Vec<TypeId>> = const { RefCell::new(Vec::new()) };
    }
    /// Takes the type off again, also when a schema inside it panics.
    struct Making;
    impl Drop for Making {
        fn drop(&mut self) {
            MAKING.with_borrow_mut(|making| making.pop());
        }
    }
    let id = TypeId::of::<T>();
    assert!(
        !MAKING.with_borrow(|making| making.contains(&id)),
        "the row type {} contains itself: keep the inner one by its key instead",
        std::any::type_name::<T>()
    );
    MAKING.with_borrow_mut(|making| making.push(id));
    let _making = Making;
    make()
}

#[cfg(test)]
mod tests;
