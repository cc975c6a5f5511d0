//! `#[derive(Settings)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    DeriveInput, Error, Expr, ExprLit, ExprUnary, Field, Lit, LitStr, Meta, Result, Token, UnOp,
};

use crate::{attrs, names};

/// What `#[setting(...)]` says.
#[derive(Default)]
struct Said {
    title: Option<String>,
    help: Option<String>,
    default: Option<(String, TokenStream)>,
    choices: Vec<String>,
}

pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    if let Some(param) = input.generics.params.first() {
        return Err(Error::new_spanned(
            param,
            "settings outlive every batch, so they take no parameters",
        ));
    }
    let fields = attrs::fields(&input, "Settings")?;
    let (mut declared, mut takes, mut idents) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields {
        let ident = attrs::ident(field)?;
        let ty = &field.ty;
        let name = ident.to_string().trim_start_matches("r#").to_owned();
        let said = said(field)?;
        let title = said.title.unwrap_or_else(|| names::title(&name));
        let help = said.help.unwrap_or_else(|| comment(field));
        let choices = &said.choices;
        let kind = if choices.is_empty() {
            quote! { <#ty as ::kilofold_plugin::FromSetting>::kind() }
        } else {
            quote! { ::kilofold_plugin::SettingKind::Choice(::std::vec![#(#choices.to_owned()),*]) }
        };
        let (default, value, required) = match said.default {
            Some((text, value)) => (
                quote! { ::core::option::Option::Some(#text) },
                quote! { ::core::option::Option::Some(::kilofold_plugin::serde_json::Value::from(#value)) },
                quote! { false },
            ),
            None => (
                quote! { ::core::option::Option::None },
                quote! { ::core::option::Option::None },
                quote! { <#ty as ::kilofold_plugin::FromSetting>::REQUIRED },
            ),
        };
        declared.push(quote! {
            ::kilofold_plugin::Setting {
                name: #name, title: #title, help: #help, kind: #kind, required: #required, default: #default,
            }
        });
        takes.push(quote! { let #ident = source.take::<#ty>(#name, #value, &[#(#choices),*]); });
        idents.push(ident);
    }
    let ident = &input.ident;
    Ok(quote! {
        impl ::kilofold_plugin::Settings for #ident {
            fn declare() -> ::std::vec::Vec<::kilofold_plugin::Setting> {
                ::std::vec![#(#declared),*]
            }

            fn read(source: &mut ::kilofold_plugin::Source) -> ::core::option::Option<Self> {
                #(#takes)*
                ::core::option::Option::Some(Self { #(#idents: #idents?),* })
            }
        }
    })
}

fn said(field: &Field) -> Result<Said> {
    let mut said = Said::default();
    for attribute in field.attrs.iter().filter(|it| it.path().is_ident("setting")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("title") {
                said.title = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.path.is_ident("help") {
                said.help = Some(meta.value()?.parse::<LitStr>()?.value());
            } else if meta.path.is_ident("default") {
                said.default = Some(default(&meta.value()?.parse()?)?);
            } else if meta.path.is_ident("choices") {
                let list;
                syn::parenthesized!(list in meta.input);
                let texts =
                    list.parse_terminated(<LitStr as syn::parse::Parse>::parse, Token![,])?;
                said.choices = texts.iter().map(LitStr::value).collect();
            } else {
                return Err(meta.error("a setting has a title, help, default and choices"));
            }
            Ok(())
        })?;
    }
    if let Some((text, _)) = &said.default
        && !said.choices.is_empty()
        && !said.choices.contains(text)
    {
        return Err(Error::new_spanned(
            &field.ident,
            format!("the default '{text}' is not one of the choices"),
        ));
    }
    Ok(said)
}

/// A default as text for people and as a value.
fn default(expression: &Expr) -> Result<(String, TokenStream)> {
    let wrong = || Error::new_spanned(expression, "a default is a text, a number, true or false");
    let (sign, literal) = match expression {
        Expr::Lit(ExprLit { lit, .. }) => ("", lit),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => match &**expr {
            Expr::Lit(ExprLit { lit: lit @ (Lit::Int(_) | Lit::Float(_)), .. }) => ("-", lit),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    let text = match literal {
        Lit::Str(text) => text.value(),
        Lit::Bool(value) => value.value.to_string(),
        Lit::Int(number) => format!("{sign}{}", number.base10_digits()),
        Lit::Float(number) => format!("{sign}{}", number.base10_digits()),
        _ => return Err(wrong()),
    };
    Ok((text, quote! { #expression }))
}

/// A field's comment, in one line.
fn comment(field: &Field) -> String {
    let lines = field.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ").trim().to_owned()
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
        assert!(error(parse_quote! { struct A<'a> { a: &'a str } }).contains("take no parameters"));
        assert!(
            error(parse_quote! { struct A { #[setting(colour = "red")] a: String } })
                .contains("a title, help")
        );
        assert!(
            error(parse_quote! { struct A { #[setting(default = f())] a: String } })
                .contains("a default is")
        );
        assert!(
            error(
                parse_quote! { struct A { #[setting(default = "c", choices("a", "b"))] a: String } }
            )
            .contains("'c' is not one of the choices")
        );
    }

    #[test]
    fn takes_help_from_the_comment() {
        let tokens = expand(
            parse_quote! { struct A { /** Which one. */ #[setting(default = -2)] which_one: i64 } },
        );
        let text = tokens.unwrap().to_string();
        assert!(
            text.contains("\"Which one.\"")
                && text.contains("\"Which one\"")
                && text.contains("\"-2\""),
            "{text}"
        );
    }
}
