//! What the derives have in common.

use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, Generics, Ident, LitStr, Result, Token,
};

/// The named fields of a struct.
pub(crate) fn fields<'i>(
    input: &'i DeriveInput,
    derive: &str,
) -> Result<&'i Punctuated<Field, Token![,]>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(&fields.named),
            _ => Err(Error::new_spanned(
                &input.ident,
                format!(
                    "{derive} needs a struct with named fields, such as `struct {} {{ id: String }}`",
                    input.ident
                ),
            )),
        },
        _ => Err(Error::new_spanned(&input.ident, format!("{derive} is for structs"))),
    }
}

/// Refuses type parameters, which a record or output cannot have.
pub(crate) fn no_types(generics: &Generics, derive: &str) -> Result<()> {
    match generics.params.iter().find(|param| !matches!(param, syn::GenericParam::Lifetime(_))) {
        Some(param) => {
            Err(Error::new_spanned(param, format!("{derive} takes no type or const parameters")))
        }
        None => Ok(()),
    }
}

/// The one text of an attribute such as `#[kind("person")]`.
pub(crate) fn text(attributes: &[Attribute], name: &str) -> Result<Option<LitStr>> {
    let Some(attribute) = only(attributes, name)? else {
        return Ok(None);
    };
    let text: LitStr = attribute.parse_args().map_err(|_| {
        Error::new_spanned(attribute, format!("write `#[{name}(\"...\")]`, with a text"))
    })?;
    if text.value().trim().is_empty() {
        return Err(Error::new_spanned(text, format!("the text of `#[{name}]` is empty")));
    }
    Ok(Some(text))
}

/// Whether there is an attribute such as `#[key]`.
pub(crate) fn flag(attributes: &[Attribute], name: &str) -> Result<bool> {
    let Some(attribute) = only(attributes, name)? else {
        return Ok(false);
    };
    match attribute.meta.require_path_only() {
        Ok(_) => Ok(true),
        Err(_) => Err(Error::new_spanned(attribute, format!("`#[{name}]` takes no arguments"))),
    }
}

fn only<'a>(attributes: &'a [Attribute], name: &str) -> Result<Option<&'a Attribute>> {
    let mut found = attributes.iter().filter(|it| it.path().is_ident(name));
    let first = found.next();
    match found.next() {
        Some(second) => Err(Error::new_spanned(second, format!("`#[{name}]` is there twice"))),
        None => Ok(first),
    }
}

/// A field's name.
pub(crate) fn ident(field: &Field) -> Result<&Ident> {
    field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "the field needs a name"))
}
