//! The `Row` trait itself: schema, encode, decode. Only calls into `tidemark`; how bytes look is decided there.

use crate::attributes::Attributes;
use crate::input::{Body, Field, Input, Shape};
use crate::traits::constructors;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

/// The implementation.
pub(crate) fn expand(input: &Input<'_>) -> TokenStream {
    let (schema, encode, decode) = (schema(input), encode(input), decode(input));
    let body = quote! {
        fn schema() -> ::tidemark::row::Schema { #schema }
        fn encode(&self, out: &mut ::tidemark::__private::Vec<u8>) { #encode }
        fn decode(input: &mut &[u8]) -> ::core::result::Result<Self, ::tidemark::row::DecodeError> { #decode }
    };
    input.implement("Row", quote!(::tidemark::row::Row), body)
}

fn row(field: &Field<'_>) -> TokenStream {
    let ty = field.ty;
    quote_spanned! { ty.span() => <#ty as ::tidemark::row::Row> }
}

fn schema(input: &Input<'_>) -> TokenStream {
    let name = input.name();
    let was = &input.attributes.was;
    let value = match &input.shape {
        Shape::Struct(body) => {
            let fields = fields(body, &input.attributes);
            quote! { ::tidemark::row::schema::structure(#name, &[#(#was),*], #fields) }
        }
        Shape::Enum(variants) => {
            let variants = variants.iter().map(|variant| {
                let name = quote::ToTokens::to_token_stream(variant.ident).to_string();
                let name = name.trim_start_matches("r#").to_owned();
                let (was, fields) =
                    (&variant.attributes.was, fields(&variant.body, &variant.attributes));
                quote! { .variant(#name, &[#(#was),*], #fields) }
            });
            quote! { ::tidemark::row::schema::Variants::new()#(#variants)*.enumeration(#name, &[#(#was),*]) }
        }
    };
    quote! { ::tidemark::row::schema::named::<Self>(|| #value) }
}

fn fields(body: &Body<'_>, attributes: &Attributes) -> TokenStream {
    let fields = body.fields.iter().map(|field| {
        let (name, ty, was) = (&field.name, field.ty, &field.attributes.was);
        match &field.attributes.default {
            None => quote_spanned! { ty.span() => .field::<#ty>(#name, &[#(#was),*]) },
            Some(None) => {
                quote_spanned! { ty.span() => .field_or::<#ty>(#name, &[#(#was),*], &::core::default::Default::default()) }
            }
            Some(Some(value)) => {
                quote_spanned! { value.span() => .field_or::<#ty>(#name, &[#(#was),*], &(#value)) }
            }
        }
    });
    let removed = attributes.removed.iter().map(|(name, ty)| quote! { .removed::<#ty>(#name) });
    quote! { ::tidemark::row::schema::Fields::new()#(#fields)*#(#removed)* }
}

fn encode(input: &Input<'_>) -> TokenStream {
    let tagged = matches!(input.shape, Shape::Enum(_));
    let arms = constructors(input).into_iter().enumerate().map(|(index, (path, _, body))| {
        let (pattern, variables) = (body.pattern("a"), body.variables("a"));
        let index = u8::try_from(index).unwrap_or(u8::MAX);
        let tag = tagged.then(|| quote! { out.push(#index); });
        let fields = body.fields.iter().zip(&variables).map(|(field, variable)| {
            let row = row(field);
            quote! { #row::encode(#variable, out); }
        });
        quote! { #path #pattern => { #tag #(#fields)* } }
    });
    quote! { match self { #(#arms)* } }
}

fn decode(input: &Input<'_>) -> TokenStream {
    let values = constructors(input).into_iter().map(|(path, _, body)| {
        let fields = body.build(|_, field| {
            let row = row(field);
            quote! { #row::decode(input)? }
        });
        quote! { #path #fields }
    });
    match &input.shape {
        Shape::Struct(_) => quote! { ::core::result::Result::Ok(#(#values)*) },
        Shape::Enum(variants) => {
            let indices = (0..variants.len()).map(|i| u8::try_from(i).unwrap_or(u8::MAX));
            quote! {
                ::core::result::Result::Ok(match ::tidemark::row::tag(input)? {
                    #(#indices => #values,)*
                    #[allow(unreachable_patterns)]
                    _ => return ::core::result::Result::Err(::tidemark::row::no_variant(input)),
                })
            }
        }
    }
}
