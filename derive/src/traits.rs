//! The standard library's traits. No encoding and no serde.
//!
//! Struct and enum share one form: `match` over patterns that name every field.

use crate::input::{Body, Input, Shape};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

/// All of them.
pub(crate) fn expand(input: &Input<'_>) -> TokenStream {
    let parts = [clone(input), debug(input), eq(input), ord(input), hash(input)];
    quote! { #(#parts)* }
}

/// The constructors with their fields: one for a struct, one a variant for an enum.
pub(crate) fn constructors<'b, 'a>(
    input: &'b Input<'a>,
) -> Vec<(TokenStream, &'b Ident, &'b Body<'a>)> {
    match &input.shape {
        Shape::Struct(body) => vec![(quote!(Self), &input.item.ident, body)],
        Shape::Enum(variants) => variants
            .iter()
            .map(|variant| {
                let ident = variant.ident;
                (quote!(Self::#ident), ident, &variant.body)
            })
            .collect(),
    }
}

/// A call of a function in `tidemark::__private` that asks for `Row`, placed at the field's type so that errors point there.
fn call(function: &str, field: &crate::input::Field<'_>, arguments: TokenStream) -> TokenStream {
    let function = Ident::new(function, proc_macro2::Span::call_site());
    let ty = field.ty;
    quote_spanned! { ty.span() => ::tidemark::__private::#function::<#ty>(#arguments) }
}

fn clone(input: &Input<'_>) -> TokenStream {
    let arms = constructors(input).into_iter().map(|(path, _, body)| {
        let (pattern, variables) = (body.pattern("a"), body.variables("a"));
        let value = body.build(|i, field| {
            let variable = &variables[i];
            call("clone", field, quote!(#variable))
        });
        quote! { #path #pattern => #path #value, }
    });
    let body = quote! { fn clone(&self) -> Self { match self { #(#arms)* } } };
    input.implement("Clone", quote!(::core::clone::Clone), body)
}

fn debug(input: &Input<'_>) -> TokenStream {
    let arms = constructors(input).into_iter().map(|(path, ident, body)| {
        let (pattern, variables) = (body.pattern("a"), body.variables("a"));
        let name = ident.unraw().to_string();
        let show = match body.source {
            syn::Fields::Named(_) => {
                let names = body.fields.iter().map(|field| &field.name);
                quote! { f.debug_struct(#name)#(.field(#names, #variables))*.finish() }
            }
            syn::Fields::Unnamed(_) => {
                quote! { f.debug_tuple(#name)#(.field(#variables))*.finish() }
            }
            syn::Fields::Unit => quote! { f.write_str(#name) },
        };
        quote! { #path #pattern => #show, }
    });
    let body = quote! {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { match self { #(#arms)* } }
    };
    input.implement("Debug", quote!(::core::fmt::Debug), body)
}

/// `match (self, other)` over equal constructors; `each` gives one for its fields, `otherwise` what holds for unequal ones.
fn pairs(
    input: &Input<'_>,
    each: impl Fn(&Body<'_>, &[Ident], &[Ident]) -> TokenStream,
    otherwise: TokenStream,
) -> TokenStream {
    let arms = constructors(input).into_iter().map(|(path, _, body)| {
        let (left, right) = (body.pattern("a"), body.pattern("b"));
        let value = each(body, &body.variables("a"), &body.variables("b"));
        quote! { (#path #left, #path #right) => #value, }
    });
    let several = matches!(&input.shape, Shape::Enum(variants) if variants.len() > 1);
    let otherwise = several.then(|| quote! { _ => #otherwise, });
    quote! { match (self, other) { #(#arms)* #otherwise } }
}

fn eq(input: &Input<'_>) -> TokenStream {
    let compare = pairs(
        input,
        |body, left, right| {
            let fields = body.fields.iter().enumerate().map(|(i, field)| {
                let (a, b) = (&left[i], &right[i]);
                call("eq", field, quote!(#a, #b))
            });
            quote! { true #(&& #fields)* }
        },
        quote!(false),
    );
    let partial = quote! { fn eq(&self, other: &Self) -> bool { #compare } };
    let partial = input.implement("PartialEq", quote!(::core::cmp::PartialEq), partial);
    let total = input.implement("Eq", quote!(::core::cmp::Eq), quote!());
    quote! { #partial #total }
}

fn ord(input: &Input<'_>) -> TokenStream {
    let compare = pairs(
        input,
        |body, left, right| {
            let mut nested = None;
            for (i, field) in body.fields.iter().enumerate().rev() {
                let (a, b) = (&left[i], &right[i]);
                let first = call("cmp", field, quote!(#a, #b));
                nested = Some(match nested {
                    None => first,
                    Some(rest) => quote! {
                        match #first {
                            ::core::cmp::Ordering::Equal => #rest,
                            unequal => unequal,
                        }
                    },
                });
            }
            nested.unwrap_or_else(|| quote!(::core::cmp::Ordering::Equal))
        },
        quote!(::core::cmp::Ord::cmp(&index(self), &index(other))),
    );
    let index = match &input.shape {
        Shape::Enum(variants) if variants.len() > 1 => {
            let idents = variants.iter().map(|variant| variant.ident);
            let indices = (0..variants.len()).map(|i| u8::try_from(i).unwrap_or(u8::MAX));
            Some(
                quote! { let index = |row: &Self| -> u8 { match row { #(Self::#idents { .. } => #indices,)* } }; },
            )
        }
        _ => None,
    };
    let total = quote! { fn cmp(&self, other: &Self) -> ::core::cmp::Ordering { #index #compare } };
    let total = input.implement("Ord", quote!(::core::cmp::Ord), total);
    let partial = quote! {
        fn partial_cmp(&self, other: &Self) -> ::core::option::Option<::core::cmp::Ordering> {
            ::core::option::Option::Some(::core::cmp::Ord::cmp(self, other))
        }
    };
    let partial = input.implement("PartialOrd", quote!(::core::cmp::PartialOrd), partial);
    quote! { #total #partial }
}

fn hash(input: &Input<'_>) -> TokenStream {
    let several = matches!(&input.shape, Shape::Enum(_));
    let arms = constructors(input).into_iter().enumerate().map(|(index, (path, _, body))| {
        let (pattern, variables) = (body.pattern("a"), body.variables("a"));
        let index = u8::try_from(index).unwrap_or(u8::MAX);
        let tag = several.then(|| quote! { ::core::hash::Hash::hash(&#index, state); });
        let fields = body.fields.iter().enumerate().map(|(i, field)| {
            let variable = &variables[i];
            call("hash", field, quote!(#variable, state))
        });
        quote! { #path #pattern => { #tag #(#fields;)* } }
    });
    let body = quote! { fn hash<__H: ::core::hash::Hasher>(&self, state: &mut __H) { match self { #(#arms)* } } };
    input.implement("Hash", quote!(::core::hash::Hash), body)
}
