//! What `#[row(..)]` says. Wrong keys are errors at the key.

use syn::parse::Parser;
use syn::{Attribute, Expr, LitStr, Result, Type};

/// The attributes of a type, a variant or a field, after checking which of them may stand there.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) default: Option<Option<Expr>>,
    pub(crate) was: Vec<LitStr>,
    pub(crate) removed: Vec<(String, Type)>,
    pub(crate) manual: Vec<String>,
}

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Type,
    Variant,
    Field,
}

const TRAITS: [&str; 9] =
    ["Clone", "Debug", "PartialEq", "Eq", "PartialOrd", "Ord", "Hash", "Serialize", "Deserialize"];

impl Attributes {
    pub(crate) fn parse(attributes: &[Attribute], place: Place) -> Result<Attributes> {
        let mut found = Attributes::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("row")) {
            attribute.parse_nested_meta(|meta| {
                let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                match (key.as_str(), place) {
                    ("default", Place::Field) => {
                        let value = if meta.input.peek(syn::Token![=]) {
                            Some(meta.value()?.parse()?)
                        } else {
                            None
                        };
                        found.default = Some(value);
                    }
                    ("was", _) => found.was.push(meta.value()?.parse()?),
                    ("removed", Place::Type | Place::Variant) => {
                        found.removed.push(removed(&meta.value()?.parse()?)?);
                    }
                    ("manual", Place::Type) => meta.parse_nested_meta(|named| {
                        let name =
                            named.path.get_ident().map(ToString::to_string).unwrap_or_default();
                        if !TRAITS.contains(&name.as_str()) {
                            return Err(named.error(format!("one of {}", TRAITS.join(", "))));
                        }
                        found.manual.push(name);
                        Ok(())
                    })?,
                    _ => return Err(meta.error(allowed(place))),
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

fn allowed(place: Place) -> &'static str {
    match place {
        Place::Type => {
            "here #[row(..)] takes was = \"old\", removed = \"x: u64\" or manual(Debug, ..)"
        }
        Place::Variant => "here #[row(..)] takes was = \"old\" or removed = \"x: u64\"",
        Place::Field => "here #[row(..)] takes default, default = EXPR or was = \"old\"",
    }
}

/// Reads "x: u64" (or "0: u64" for a field of a tuple struct).
fn removed(text: &LitStr) -> Result<(String, Type)> {
    let parser = |input: syn::parse::ParseStream<'_>| {
        let name = if input.peek(syn::LitInt) {
            input.parse::<syn::LitInt>()?.to_string()
        } else {
            use syn::ext::IdentExt;
            input.call(syn::Ident::parse_any)?.to_string()
        };
        input.parse::<syn::Token![:]>()?;
        Ok((name, input.parse::<Type>()?))
    };
    let tokens = text.parse::<proc_macro2::TokenStream>()?;
    parser.parse2(tokens).map_err(|_| {
        syn::Error::new(
            text.span(),
            "a removed field is written as \"name: Type\", with the type that it had",
        )
    })
}
