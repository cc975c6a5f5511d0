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

fn map(contact: Contact<'_>) -> Person<'_> {
    Person { id: contact.id }
}

mapper!(Contact => Person, map);
