//! `mapper!`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprArray, Ident, Path, Result, Token, Type};

const OPTIONS: &str = "settings: Type, context, objects: [\"...\"], name: \"...\", version: \"...\", summary: \"...\", maps_deletions";

/// What stands between the brackets of `mapper!`.
pub(crate) struct Mapper {
    record: Type,
    whole: bool,
    output: Type,
    function: Path,
    settings: Option<Type>,
    context: bool,
    objects: Option<ExprArray>,
    name: Option<Expr>,
    version: Option<Expr>,
    summary: Option<Expr>,
    maps_deletions: bool,
}

impl Parse for Mapper {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let shape = |error: Error| {
            Error::new(
                error.span(),
                format!(
                    "{error}; write `mapper!(Contact => Person, map);`, then options: {OPTIONS}"
                ),
            )
        };
        let record: Type = input.parse().map_err(shape)?;
        input.parse::<Token![=>]>().map_err(shape)?;
        let output = input.parse().map_err(shape)?;
        input.parse::<Token![,]>().map_err(shape)?;
        let function = input.parse().map_err(shape)?;
        let (record, whole) = match record {
            Type::Slice(slice) => (*slice.elem, true),
            other => (other, false),
        };
        let mut mapper = Self {
            record,
            whole,
            output,
            function,
            settings: None,
            context: false,
            objects: None,
            name: None,
            version: None,
            summary: None,
            maps_deletions: false,
        };
        while !input.is_empty() {
            input.parse::<Token![,]>().map_err(shape)?;
            if !input.is_empty() {
                mapper.option(input)?;
            }
        }
        Ok(mapper)
    }
}

impl Mapper {
    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let option: Ident = input.parse()?;
        let twice = match option.to_string().as_str() {
            "context" => std::mem::replace(&mut self.context, true),
            "maps_deletions" => std::mem::replace(&mut self.maps_deletions, true),
            "settings" => self.settings.replace(after_colon(input)?).is_some(),
            "objects" => self.objects.replace(after_colon(input)?).is_some(),
            "name" => self.name.replace(after_colon(input)?).is_some(),
            "version" => self.version.replace(after_colon(input)?).is_some(),
            "summary" => self.summary.replace(after_colon(input)?).is_some(),
            other => {
                return Err(Error::new_spanned(
                    &option,
                    format!("there is no option '{other}'; there are: {OPTIONS}"),
                ));
            }
        };
        if twice {
            return Err(Error::new_spanned(
                &option,
                format!("the option '{option}' is there twice"),
            ));
        }
        Ok(())
    }
}

fn after_colon<T: Parse>(input: ParseStream<'_>) -> Result<T> {
    input.parse::<Token![:]>()?;
    input.parse()
}

pub(crate) fn expand(mapper: Mapper) -> TokenStream {
    let Mapper {
        record,
        whole,
        output,
        function,
        settings,
        context,
        objects,
        name,
        version,
        summary,
        maps_deletions,
    } = mapper;
    let name = name.map_or_else(|| quote! { ::core::env!("CARGO_PKG_NAME") }, |it| quote! { #it });
    let version =
        version.map_or_else(|| quote! { ::core::env!("CARGO_PKG_VERSION") }, |it| quote! { #it });
    let summary = summary
        .map_or_else(|| quote! { ::core::env!("CARGO_PKG_DESCRIPTION") }, |it| quote! { #it });
    let objects = objects.map_or_else(|| quote! { [] }, |it| quote! { #it });
    let given = settings.as_ref().map(|_| quote! { , &settings.0 });
    let context = context.then(|| quote! { , context });
    // The author's struct may be private; the plugin's associated type may not.
    let wrapper = settings.as_ref().map(|settings| {
        quote! {
            #[doc(hidden)]
            #[allow(missing_debug_implementations)]
            pub struct PluginSettings(#settings);

            impl ::kilofold_plugin::Settings for PluginSettings {
                fn declare() -> ::std::vec::Vec<::kilofold_plugin::Setting> {
                    <#settings as ::kilofold_plugin::Settings>::declare()
                }

                fn read(source: &mut ::kilofold_plugin::Source) -> ::core::option::Option<Self> {
                    <#settings as ::kilofold_plugin::Settings>::read(source).map(Self)
                }
            }
        }
    });
    let settings = settings.map_or_else(|| quote! { () }, |_| quote! { PluginSettings });
    // At the function's name, so that a function of another shape is shown in its place.
    let called = function.span();
    let map = if whole {
        let call = quote_spanned! {called=> #function(records #given #context) };
        quote! {
            ::kilofold_plugin::run::all(batch, |records: ::std::vec::Vec<#record>| {
                let made: ::std::vec::Vec<::core::result::Result<#output, ::kilofold_plugin::Reject>> =
                    #call;
                made
            })
        }
    } else {
        let call = quote_spanned! {called=> #function(record #given #context) };
        quote! {
            ::kilofold_plugin::run::each(batch, <#record as ::kilofold_plugin::Record<'_>>::FIELDS.len(), |row| {
                let record = <#record as ::kilofold_plugin::Record<'_>>::read(row)?;
                let made: ::core::result::Result<#output, ::kilofold_plugin::Reject> =
                    #call;
                made
            })
        }
    };
    quote! {
        #wrapper

        /// The plugin that this crate is.
        #[derive(Debug)]
        pub struct Plugin;

        impl ::kilofold_plugin::Mapper for Plugin {
            type Settings = #settings;

            fn describe() -> ::core::result::Result<::kilofold_plugin::Description, ::std::string::String> {
                ::core::result::Result::Ok(::kilofold_plugin::Description {
                    name: #name,
                    version: #version,
                    summary: #summary,
                    objects: &#objects,
                    reads: <#record as ::kilofold_plugin::Record<'_>>::FIELDS.to_vec(),
                    outputs: ::kilofold_plugin::run::declared::<#output>()?,
                    settings: <#settings as ::kilofold_plugin::Settings>::declare(),
                    maps_deletions: #maps_deletions,
                })
            }

            #[allow(unused_variables)]
            fn map<'b>(
                settings: &Self::Settings,
                batch: &::kilofold_plugin::Batch<'b>,
            ) -> ::kilofold_plugin::Outcomes<'b> {
                let context = batch.context();
                #map
            }
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use ::kilofold_plugin::guest::{self, exports::kilofold::mapping::{about, table}, kilofold::mapping::types};

            static SETTINGS: ::std::sync::OnceLock<#settings> = ::std::sync::OnceLock::new();

            impl about::Guest for Plugin {
                fn describe() -> ::core::result::Result<types::Description, ::std::string::String> {
                    guest::describe::<Plugin>()
                }

                fn configure(
                    settings: ::std::string::String,
                ) -> ::core::result::Result<(), ::std::vec::Vec<types::Problem>> {
                    guest::configure::<Plugin>(&SETTINGS, &settings)
                }
            }

            impl table::Guest for Plugin {
                fn map_batch(context: types::Context, batch: table::Batch) -> table::Outcomes {
                    guest::map_batch::<Plugin>(&SETTINGS, context, batch)
                }
            }

            guest::export!(Plugin with_types_in ::kilofold_plugin::guest);
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        syn::parse_str::<Mapper>(text).err().map(|it| it.to_string()).unwrap()
    }

    #[test]
    fn reads_every_form() {
        for text in [
            "Contact => Person, map",
            "Contact => (Person, Option<Link>), map,",
            "[Contact<'_>] => Vec<Person>, crate::map_all, settings: Config, context, maps_deletions",
            "Row => Any, map, name: \"x\", version: \"1\", summary: \"s\", objects: [\"A\", \"B\"]",
        ] {
            assert!(syn::parse_str::<Mapper>(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn names_the_author_s_mistake() {
        assert!(error("Contact, map").contains("mapper!(Contact => Person, map)"));
        assert!(error("Contact => Person").contains("mapper!(Contact => Person, map)"));
        assert!(
            error("Contact => Person, map, object: \"A\"")
                .contains("no option 'object'; there are: settings")
        );
        assert!(
            error("Contact => Person, map, context, context").contains("'context' is there twice")
        );
    }
}
