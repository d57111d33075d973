//! `#[derive(Row)]` for Tidemark. Knows nothing of how rows are encoded, only which trait says so.

mod attributes;
mod input;
mod row;
mod serde;
mod traits;

use proc_macro::TokenStream;

/// Makes a struct or an enum a row: `Clone`, `Debug`, `PartialEq`, `Eq`, `PartialOrd`, `Ord`, `Hash`, serde's `Serialize` and
/// `Deserialize`, and `tidemark::Row`.
///
/// `#[serde(..)]` attributes work as with serde's own derive; serde itself need not be a dependency.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[row(default)]`, `#[row(default = EXPR)]` | field | stored rows that lack the field get this value |
/// | `#[row(was = "old")]` | field, variant, type | what it was called in stored rows; may be repeated |
/// | `#[row(removed = "x: u64")]` | type, variant | stored rows may have this field, which is dropped; may be repeated |
/// | `#[row(manual(Debug, Ord))]` | type | these traits are written by hand |
#[proc_macro_derive(Row, attributes(row, serde))]
pub fn derive_row(item: TokenStream) -> TokenStream {
    let item = syn::parse_macro_input!(item as syn::DeriveInput);
    expand(&item).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn expand(item: &syn::DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    let input = input::Input::new(item)?;
    let parts = [traits::expand(&input), serde::expand(&input), row::expand(&input)];
    Ok(quote::quote! {
        const _: () = {
            #(#parts)*
        };
    })
}

#[cfg(test)]
mod tests;
