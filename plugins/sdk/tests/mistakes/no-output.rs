use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Contact<'a> {
    id: &'a str,
}

struct Person<'a> {
    id: &'a str,
}

fn map(contact: Contact<'_>) -> Result<Person<'_>, Reject> {
    Ok(Person { id: contact.id })
}

mapper!(Contact => Person, map);
