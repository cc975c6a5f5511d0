//! `#[derive(Output)]` and `#[derive(Outputs)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::attrs;

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    attrs::no_types(&input.generics, "Output")?;
    let fields = attrs::fields(&input, "Output")?;
    let ident = &input.ident;
    let kind = attrs::text(&input.attrs, "kind")?.ok_or_else(|| {
        Error::new_spanned(ident, "say what is made: `#[kind(\"person\")]` on the struct")
    })?;

    let (mut key, mut body, mut names, mut cells) = (None, None, Vec::<String>::new(), Vec::new());
    for field in fields {
        let ident = attrs::ident(field)?;
        if attrs::flag(&field.attrs, "key")? {
            if key.replace(ident).is_some() {
                return Err(Error::new_spanned(
                    ident,
                    "an output has one `#[key]`; join its parts into one text",
                ));
            }
            continue;
        }
        let name = match attrs::text(&field.attrs, "field")? {
            Some(name) => name.value(),
            None => ident.to_string().trim_start_matches("r#").to_owned(),
        };
        if attrs::flag(&field.attrs, "body")? {
            body = Some(ident);
        } else if name == "*" {
            return Err(Error::new_spanned(ident, "for a whole body write `#[body]`"));
        }
        if names.contains(&name) {
            return Err(Error::new_spanned(
                ident,
                format!("the output has two fields called '{name}'"),
            ));
        }
        names.push(name);
        // At the field's type, so that a type that no output can hold is shown in its place.
        cells.push(quote_spanned! {field.ty.span()=>
            ::kilofold_plugin::ToCell::to_cell(&self.#ident, cells);
        });
    }
    let key = key.ok_or_else(|| {
        Error::new_spanned(
            ident,
            "mark the field that tells one output from another: `#[key] id: &'a str`",
        )
    })?;
    if let Some(body) = body {
        if names.len() > 1 {
            return Err(Error::new_spanned(
                body,
                "`#[body]` is the whole body; there can be no field but it and the key",
            ));
        }
        names = vec!["*".to_owned()];
        // The type is named so that a text is not taken for a body.
        cells = vec![quote! {
            let body: &::kilofold_plugin::Json<'_> = &self.#body;
            cells.json(body.as_str());
        }];
    }

    let (generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::kilofold_plugin::Output for #ident #type_generics #where_clause {
            const KIND: &'static str = #kind;
            const FIELDS: &'static [&'static str] = &[#(#names),*];

            #[inline]
            fn key(&self) -> &str {
                ::core::convert::AsRef::<str>::as_ref(&self.#key)
            }

            #[inline]
            fn cells(&self, cells: &mut ::kilofold_plugin::Cells<'_, '_>) {
                #(#cells)*
            }
        }

        impl #generics ::kilofold_plugin::Outputs for #ident #type_generics #where_clause {
            fn declare(kinds: &mut ::kilofold_plugin::Kinds) {
                kinds.add(
                    <Self as ::kilofold_plugin::Output>::KIND,
                    <Self as ::kilofold_plugin::Output>::FIELDS,
                );
            }

            #[inline]
            fn emit(self, out: &mut ::kilofold_plugin::Outcomes<'_>) {
                out.push(&self);
            }
        }
    })
}

pub(crate) fn expand_enum(input: DeriveInput) -> Result<TokenStream> {
    attrs::no_types(&input.generics, "Outputs")?;
    let ident = &input.ident;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(ident, "Outputs is for enums; a struct is one Output"));
    };
    if data.variants.is_empty() {
        return Err(Error::new_spanned(ident, "an enum without variants makes nothing"));
    }
    let (mut types, mut variants) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                types.push(&fields.unnamed[0].ty)
            }
            _ => {
                let example =
                    format!("a variant holds one output: `{}(Person<'a>)`", variant.ident);
                return Err(Error::new_spanned(variant, example));
            }
        }
        variants.push(&variant.ident);
    }
    let (generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #generics ::kilofold_plugin::Outputs for #ident #type_generics #where_clause {
            fn declare(kinds: &mut ::kilofold_plugin::Kinds) {
                #(<#types as ::kilofold_plugin::Outputs>::declare(kinds);)*
            }

            #[inline]
            fn emit(self, out: &mut ::kilofold_plugin::Outcomes<'_>) {
                match self {
                    #(Self::#variants(output) => ::kilofold_plugin::Outputs::emit(output, out),)*
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn error(input: DeriveInput) -> String {
        expand(input).unwrap_err().to_string()
    }

    #[test]
    fn names_the_author_s_mistake() {
        assert!(
            error(parse_quote! { struct A { #[key] id: String } }).contains("#[kind(\"person\")]")
        );
        assert!(error(parse_quote! { #[kind("a")] struct A { id: String } }).contains("#[key]"));
        assert!(
            error(parse_quote! { #[kind("")] struct A { #[key] id: String } }).contains("is empty")
        );
        assert!(
            error(parse_quote! { #[kind("a")] struct A { #[key] a: String, #[key] b: String } })
                .contains("one `#[key]`")
        );
        assert!(
            error(parse_quote! { #[kind("a")] struct A { #[key("x")] a: String } })
                .contains("takes no arguments")
        );
        assert!(
            error(parse_quote! { #[kind("a")] struct A { #[key] k: String, a: bool, #[field("a")] b: bool } })
                .contains("two fields called 'a'")
        );
        assert!(
            error(parse_quote! { #[kind("a")] struct A { #[key] k: String, #[body] a: Json, b: bool } })
                .contains("the whole body")
        );
        assert!(
            error(
                parse_quote! { #[kind("a")] struct A { #[key] k: String, #[field("*")] a: bool } }
            )
            .contains("#[body]")
        );
    }

    #[test]
    fn names_the_mistake_in_an_enum() {
        let error = |input| expand_enum(input).unwrap_err().to_string();
        assert!(error(parse_quote! { struct A { id: String } }).contains("for enums"));
        assert!(error(parse_quote! { enum A {} }).contains("makes nothing"));
        assert!(error(parse_quote! { enum A { Person } }).contains("`Person(Person<'a>)`"));
    }
}
