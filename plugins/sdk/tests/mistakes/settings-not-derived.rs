use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Contact<'a> {
    id: &'a str,
}

#[derive(Output)]
#[kind("person")]
struct Person<'a> {
    #[key]
    id: &'a str,
}

struct Config;

fn map<'a>(contact: Contact<'a>, _: &Config) -> Result<Person<'a>, Reject> {
    Ok(Person { id: contact.id })
}

mapper!(Contact => Person, map, settings: Config);
