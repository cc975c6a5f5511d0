//! `#[derive(Record)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result, parse_quote};

use crate::{attrs, names};

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    attrs::no_types(&input.generics, "Record")?;
    let fields = attrs::fields(&input, "Record")?;
    if fields.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "a record without fields reads nothing; for any object take `Row`",
        ));
    }
    let mut lifetimes = input.generics.lifetimes();
    let lifetime = lifetimes.next().map(|it| it.lifetime.clone());
    if let Some(second) = lifetimes.next() {
        return Err(Error::new_spanned(second, "a record has one lifetime: that of the batch"));
    }
    let mut generics = input.generics.clone();
    let lifetime = lifetime.unwrap_or_else(|| {
        generics.params.push(parse_quote!('kilofold));
        parse_quote!('kilofold)
    });

    let (mut reads, mut declared, mut seen) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for (position, field) in fields.iter().enumerate() {
        let ident = attrs::ident(field)?;
        let name = attrs::text(&field.attrs, "field")?;
        let named =
            name.as_ref().map_or_else(|| names::salesforce(&ident.to_string()), |it| it.value());
        check(&named).map_err(|problem| match &name {
            Some(text) => Error::new_spanned(text, problem),
            None => Error::new_spanned(ident, problem),
        })?;
        if seen.iter().any(|it| it.eq_ignore_ascii_case(&named)) {
            return Err(Error::new_spanned(ident, format!("the record reads {named} twice")));
        }
        let ty = &field.ty;
        declared.push(quote! {
            ::kilofold_plugin::Field { name: #named, required: <#ty as ::kilofold_plugin::FromCell<'_>>::REQUIRED }
        });
        let before = match position.checked_sub(1) {
            None => quote! { first },
            Some(before) => quote! { entries[#before] },
        };
        reads.push(quote! { #ident: row.entry::<#ty>(#before, entries[#position], #named)? });
        seen.push(named);
    }

    let count = fields.len();
    let ident = &input.ident;
    let (impl_generics, _, _) = generics.split_for_impl();
    let (_, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::kilofold_plugin::Record<#lifetime> for #ident #type_generics #where_clause {
            const FIELDS: &'static [::kilofold_plugin::Field] = &[#(#declared),*];

            #[inline]
            fn read(
                row: &::kilofold_plugin::Row<#lifetime>,
            ) -> ::core::result::Result<Self, ::kilofold_plugin::Reject> {
                let (first, entries) = row.entries::<#count>();
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    })
}

/// Refuses what cannot be a field in SOQL, before Salesforce does.
fn check(name: &str) -> std::result::Result<(), String> {
    let part = |part: &str| {
        part.starts_with(|it: char| it.is_ascii_alphabetic())
            && part.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
    };
    if name.split('.').all(part) {
        return Ok(());
    }
    Err(format!(
        "'{name}' is not a Salesforce field name; write such as FirstName, Score__c or Account.Name"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(input: DeriveInput) -> String {
        expand(input).unwrap_err().to_string()
    }

    #[test]
    fn names_fields_as_salesforce_does() {
        let tokens = expand(parse_quote! {
            struct Contact<'a> { id: &'a str, #[field("Annual_Spend__c")] spend: Option<f64>, account__name: String }
        });
        let text = tokens.unwrap().to_string();
        for name in ["\"Id\"", "\"Annual_Spend__c\"", "\"Account.Name\""] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn names_the_author_s_mistake() {
        assert_eq!(error(parse_quote! { enum A { B } }), "Record is for structs");
        assert!(
            error(parse_quote! { struct A(String); })
                .starts_with("Record needs a struct with named fields")
        );
        assert!(error(parse_quote! { struct A {} }).contains("take `Row`"));
        assert!(
            error(parse_quote! { struct A<T> { id: T } }).contains("no type or const parameters")
        );
        assert!(
            error(parse_quote! { struct A<'a, 'b> { id: &'a str, b: &'b str } })
                .contains("one lifetime")
        );
        assert!(
            error(parse_quote! { struct A { #[field] id: String } }).contains("#[field(\"...\")]")
        );
        assert!(
            error(parse_quote! { struct A { #[field("a b")] id: String } })
                .contains("'a b' is not a Salesforce")
        );
        assert!(
            error(parse_quote! { struct A { id: String, #[field("ID")] b: String } })
                .contains("reads ID twice")
        );
        assert!(
            error(parse_quote! { struct A { #[field("A")] #[field("B")] id: String } })
                .contains("there twice")
        );
    }
}
