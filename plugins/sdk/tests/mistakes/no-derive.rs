use kilofold_plugin::prelude::*;

struct Contact<'a> {
    id: &'a str,
}

#[derive(Output)]
#[kind("person")]
struct Person<'a> {
    #[key]
    id: &'a str,
}

fn map(contact: Contact<'_>) -> Result<Person<'_>, Reject> {
    Ok(Person { id: contact.id })
}

mapper!(Contact => Person, map);
