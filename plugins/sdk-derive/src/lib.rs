//! The derives and the `mapper!` macro of kilofold-plugin; every mistake is reported where the author made it.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;

mod attrs;
mod mapper;
mod names;
mod output;
mod record;
mod settings;

fn derive(input: TokenStream, expand: fn(syn::DeriveInput) -> syn::Result<Tokens>) -> TokenStream {
    syn::parse(input).and_then(expand).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Reads a Salesforce record into a struct.
///
/// A field's Salesforce name is the Rust name in Salesforce's spelling: `first_name` is `FirstName`, `account__name` is
/// `Account.Name`, `score__c` is `Score__c`. `#[field("Annual_Spend__c")]` says another.
#[proc_macro_derive(Record, attributes(field))]
pub fn record(input: TokenStream) -> TokenStream {
    derive(input, record::expand)
}

/// Makes a struct one output: `#[kind("person")]` on the struct, `#[key]` on the field that tells outputs apart, and
/// `#[field("fullName")]` where the body's name is not the Rust name. `#[body]` on the only other field makes that JSON
/// object the whole body.
#[proc_macro_derive(Output, attributes(kind, key, body, field))]
pub fn output(input: TokenStream) -> TokenStream {
    derive(input, output::expand)
}

/// Makes an enum of outputs something that a mapping can return: one output in each variant.
#[proc_macro_derive(Outputs)]
pub fn outputs(input: TokenStream) -> TokenStream {
    derive(input, output::expand_enum)
}

/// Declares and reads settings: `#[setting(title = "...", default = ..., choices("a", "b"))]`; a field's comment is its
/// help text.
#[proc_macro_derive(Settings, attributes(setting))]
pub fn settings(input: TokenStream) -> TokenStream {
    derive(input, settings::expand)
}

/// Makes the crate a plugin: `mapper!(Contact => Person, map);`.
///
/// Options follow the function, in any order: `settings: Config` (the function is also given `&Config`), `context` (and
/// then `&Context`), `objects: ["Contact"]`, `name: "..."`, `version: "..."`, `summary: "..."` (by default those of the
/// crate) and `maps_deletions` (deleted records come too; read `is_deleted`). With `[Contact] => Person` the function is
/// given all records of a batch at once, as a `Vec`, and returns a `Vec` of as many results.
#[proc_macro]
pub fn mapper(input: TokenStream) -> TokenStream {
    syn::parse(input).map(mapper::expand).unwrap_or_else(syn::Error::into_compile_error).into()
}
