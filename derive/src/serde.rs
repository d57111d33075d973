//! serde's two traits, written by serde's own derive on a hidden mirror of the type (`#[serde(remote = ..)]`), so that every
//! `#[serde(..)]` attribute works and the user's crate needs no serde. No other trait.
//!
//! Those attributes are for people's formats. From process to process a row goes as its own bytes ([`Row::encode`]): a format that does
//! not describe itself can't tell what a tag, a default or a field that is left out means.

use crate::input::{Input, Shape};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Fields};

/// The mirror and the two implementations that go through it.
pub(crate) fn expand(input: &Input<'_>) -> TokenStream {
    let manual = |name: &str| input.attributes.manual.iter().any(|manual| manual == name);
    let mut derives = Vec::new();
    if !manual("Serialize") {
        derives.push(quote!(::tidemark::__private::serde::Serialize));
    }
    if !manual("Deserialize") {
        derives.push(quote!(::tidemark::__private::serde::Deserialize));
    }
    if derives.is_empty() {
        return TokenStream::new();
    }
    let mirror = mirror(input, &derives);
    let arguments = input.generics.split_for_impl().1;
    let turbofish = arguments.as_turbofish();
    // Both or neither: what one writes the other reads.
    let (serialize_bytes, deserialize_bytes) = if derives.len() == 2 {
        let serialize = quote! {
            if !serializer.is_human_readable() {
                return ::tidemark::__private::serialize_bytes(self, serializer);
            }
        };
        let deserialize = quote! {
            if !deserializer.is_human_readable() {
                return ::tidemark::__private::deserialize_bytes(deserializer);
            }
        };
        (serialize, deserialize)
    } else {
        (TokenStream::new(), TokenStream::new())
    };
    let serialize = quote! {
        fn serialize<__S: ::tidemark::__private::serde::Serializer>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error> {
            #serialize_bytes
            __RowMirror #turbofish::serialize(self, serializer)
        }
    };
    let deserialize = quote! {
        fn deserialize<__D: ::tidemark::__private::serde::Deserializer<'de>>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error> {
            #deserialize_bytes
            __RowMirror #turbofish::deserialize(deserializer)
        }
    };
    let serialize =
        input.implement("Serialize", quote!(::tidemark::__private::serde::Serialize), serialize);
    let deserialize = if manual("Deserialize") {
        TokenStream::new()
    } else {
        let mut generics = input.generics.clone();
        generics.params.insert(0, syn::parse_quote!('de));
        let (parameters, _, conditions) = generics.split_for_impl();
        let ident = &input.item.ident;
        quote! {
            #[automatically_derived]
            impl #parameters ::tidemark::__private::serde::Deserialize<'de> for #ident #arguments #conditions {
                #deserialize
            }
        }
    };
    quote! { #mirror #serialize #deserialize }
}

fn mirror(input: &Input<'_>, derives: &[TokenStream]) -> TokenStream {
    let (name, ident) = (input.name(), &input.item.ident);
    let attributes = serde_attributes(&input.item.attrs);
    let remote = ident.to_string();
    let rename = (!mentions(&attributes, "rename")).then(|| quote!(#[serde(rename = #name)]));
    // Always said, since serde would ask for bounds of the mirror, which has none of the type's traits.
    let bound = (!mentions(&attributes, "bound")).then(|| {
        let bounds = input.generics.type_params().map(|parameter| {
            let ident = &parameter.ident;
            format!("{ident}: ::tidemark::Row")
        });
        let bounds = bounds.collect::<Vec<_>>().join(", ");
        quote!(#[serde(bound = #bounds)])
    });
    let (parameters, _, conditions) = input.generics.split_for_impl();
    let body = match &input.shape {
        Shape::Struct(body) => {
            let fields = fields(body.source);
            match body.source {
                Fields::Named(_) => quote! { struct __RowMirror #parameters #conditions #fields },
                _ => quote! { struct __RowMirror #parameters #fields #conditions; },
            }
        }
        Shape::Enum(variants) => {
            let variants = variants.iter().map(|variant| {
                let (ident, fields) = (variant.ident, fields(variant.body.source));
                let attributes = serde_attributes(variant.source);
                quote! { #(#attributes)* #ident #fields }
            });
            quote! { enum __RowMirror #parameters #conditions { #(#variants),* } }
        }
    };
    quote! {
        #[allow(dead_code, non_camel_case_types, clippy::all)]
        #[derive(#(#derives),*)]
        #[serde(crate = "::tidemark::__private::serde", remote = #remote)]
        #rename
        #bound
        #(#attributes)*
        #body
    }
}

fn fields(fields: &Fields) -> TokenStream {
    let each = fields.iter().map(|field| {
        let (attributes, ident, ty) = (serde_attributes(&field.attrs), &field.ident, &field.ty);
        let colon = ident.as_ref().map(|_| quote!(:));
        quote! { #(#attributes)* #ident #colon #ty }
    });
    match fields {
        Fields::Named(_) => quote! { { #(#each),* } },
        Fields::Unnamed(_) => quote! { ( #(#each),* ) },
        Fields::Unit => TokenStream::new(),
    }
}

fn serde_attributes(attributes: &[Attribute]) -> Vec<&Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).collect()
}

/// Whether a container's serde attributes have `key` at their top level.
fn mentions(attributes: &[&Attribute], key: &str) -> bool {
    let mut found = false;
    for attribute in attributes {
        // What serde cannot read it reports itself.
        let _ = attribute.parse_nested_meta(|meta| {
            found |= meta.path.is_ident(key);
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            } else if meta.input.peek(syn::token::Paren) {
                meta.input.parse::<proc_macro2::Group>()?;
            }
            Ok(())
        });
    }
    found
}
