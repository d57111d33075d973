//! The type that is derived for, read once. No code is made here.

use crate::attributes::{Attributes, Place};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, Data, DeriveInput, Fields, GenericParam, Generics, Ident, Member, Result, Type,
};

/// A struct or an enum.
pub(crate) struct Input<'a> {
    pub(crate) item: &'a DeriveInput,
    pub(crate) attributes: Attributes,
    pub(crate) shape: Shape<'a>,
    /// The type's generics with `Row` as a bound on each type parameter.
    pub(crate) generics: Generics,
}

/// What its values look like.
pub(crate) enum Shape<'a> {
    Struct(Body<'a>),
    Enum(Vec<Variant<'a>>),
}

/// A variant of an enum.
pub(crate) struct Variant<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) attributes: Attributes,
    pub(crate) source: &'a [Attribute],
    pub(crate) body: Body<'a>,
}

/// The fields of a struct or a variant.
pub(crate) struct Body<'a> {
    pub(crate) source: &'a Fields,
    pub(crate) fields: Vec<Field<'a>>,
}

/// One field.
pub(crate) struct Field<'a> {
    /// `name` or `0`.
    pub(crate) member: Member,
    /// Its name in the schema.
    pub(crate) name: String,
    pub(crate) ty: &'a Type,
    pub(crate) attributes: Attributes,
}

impl<'a> Input<'a> {
    pub(crate) fn new(item: &'a DeriveInput) -> Result<Input<'a>> {
        let attributes = Attributes::parse(&item.attrs, Place::Type)?;
        let shape = match &item.data {
            Data::Struct(data) => Shape::Struct(Body::new(&data.fields)?),
            Data::Enum(data) => {
                if data.variants.is_empty() || data.variants.len() > 256 {
                    return Err(error(&item.ident, "a row that is an enum has 1 to 256 variants"));
                }
                if !attributes.removed.is_empty() {
                    return Err(error(
                        &item.ident,
                        "`removed` stands at the variant whose field it was",
                    ));
                }
                let variants = data.variants.iter().map(|variant| {
                    Ok(Variant {
                        ident: &variant.ident,
                        attributes: Attributes::parse(&variant.attrs, Place::Variant)?,
                        source: &variant.attrs,
                        body: Body::new(&variant.fields)?,
                    })
                });
                Shape::Enum(variants.collect::<Result<_>>()?)
            }
            Data::Union(_) => {
                return Err(error(&item.ident, "a union cannot be a row: use an enum"));
            }
        };
        let mut generics = item.generics.clone();
        for parameter in &mut generics.params {
            match parameter {
                GenericParam::Type(parameter) => {
                    parameter.bounds.push(syn::parse_quote!(::tidemark::Row));
                }
                GenericParam::Lifetime(lifetime) => {
                    return Err(error(lifetime, "a row owns its data: it cannot borrow"));
                }
                GenericParam::Const(_) => {}
            }
        }
        Ok(Input { item, attributes, shape, generics })
    }

    /// The name in the schema and in messages.
    pub(crate) fn name(&self) -> String {
        self.item.ident.unraw().to_string()
    }

    /// `impl<..> PATH for TYPE<..> where .. { BODY }`, or nothing if `trait_name` is written by hand.
    pub(crate) fn implement(
        &self,
        trait_name: &str,
        path: TokenStream,
        body: TokenStream,
    ) -> TokenStream {
        if self.attributes.manual.iter().any(|manual| manual == trait_name) {
            return TokenStream::new();
        }
        let ident = &self.item.ident;
        let (parameters, arguments, conditions) = self.generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #parameters #path for #ident #arguments #conditions { #body }
        }
    }
}

impl<'a> Body<'a> {
    fn new(source: &'a Fields) -> Result<Body<'a>> {
        let fields = source.iter().zip(source.members()).map(|(field, member)| {
            Ok(Field {
                name: match &member {
                    Member::Named(ident) => ident.unraw().to_string(),
                    Member::Unnamed(index) => index.index.to_string(),
                },
                member,
                ty: &field.ty,
                attributes: Attributes::parse(&field.attrs, Place::Field)?,
            })
        });
        Ok(Body { source, fields: fields.collect::<Result<_>>()? })
    }

    /// `{ a: p0, b: p1 }`: all fields bound to variables with `prefix`. Serves for tuples and units too.
    pub(crate) fn pattern(&self, prefix: &str) -> TokenStream {
        let members = self.fields.iter().map(|field| &field.member);
        let variables = self.variables(prefix);
        quote! { { #(#members: #variables),* } }
    }

    /// The variables of [`Body::pattern`].
    pub(crate) fn variables(&self, prefix: &str) -> Vec<Ident> {
        (0..self.fields.len())
            .map(|i| format_ident!("{prefix}{i}", span = Span::mixed_site()))
            .collect()
    }

    /// `{ a: MAKE, b: MAKE }`: a value whose fields are made one after the other.
    pub(crate) fn build(
        &self,
        mut make: impl FnMut(usize, &Field<'a>) -> TokenStream,
    ) -> TokenStream {
        let fields = self.fields.iter().enumerate().map(|(i, field)| {
            let (member, value) = (&field.member, make(i, field));
            quote! { #member: #value }
        });
        quote! { { #(#fields),* } }
    }
}

fn error(at: impl quote::ToTokens, message: &str) -> syn::Error {
    syn::Error::new_spanned(at, message)
}
