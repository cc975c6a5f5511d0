//! Contacts as persons.

use std::borrow::Cow;

use kilofold_plugin::person;
use kilofold_plugin::prelude::*;

#[derive(Record)]
#[allow(non_snake_case, reason = "a double underscore is the dot in Account.Name")]
struct Contact<'a> {
    id: Id<'a>,
    first_name: Option<&'a str>,
    last_name: &'a str,
    salutation: Option<&'a str>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    mobile_phone: Option<&'a str>,
    title: Option<&'a str>,
    department: Option<&'a str>,
    account_id: Option<Id<'a>>,
    account__name: Option<&'a str>,
    owner_id: Option<Id<'a>>,
    mailing_street: Option<&'a str>,
    mailing_city: Option<&'a str>,
    mailing_state: Option<&'a str>,
    mailing_postal_code: Option<&'a str>,
    mailing_country: Option<&'a str>,
    birthdate: Option<Date>,
    lead_source: Option<&'a str>,
    has_opted_out_of_email: bool,
    do_not_call: bool,
    created_date: DateTime,
    last_modified_date: DateTime,
}

#[derive(Output)]
#[kind("person")]
struct Person<'a> {
    #[key]
    id: Id<'a>,
    name: Cow<'a, str>,
    first_name: Option<&'a str>,
    last_name: &'a str,
    salutation: Option<&'a str>,
    email: Cow<'a, str>,
    phone: Option<&'a str>,
    title: Option<&'a str>,
    department: Option<&'a str>,
    account_id: Option<Id<'a>>,
    account_name: Option<&'a str>,
    owner_id: Option<Id<'a>>,
    street: Option<&'a str>,
    city: Option<&'a str>,
    state: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: Option<&'a str>,
    birthdate: Option<Date>,
    source: Option<&'a str>,
    may_email: bool,
    may_call: bool,
    created_at: DateTime,
    updated_at: DateTime,
}

fn map(contact: Contact<'_>) -> Result<Person<'_>, Reject> {
    Ok(Person {
        id: contact.id,
        name: person::full_name(contact.first_name, contact.last_name),
        first_name: contact.first_name,
        last_name: contact.last_name,
        salutation: contact.salutation,
        email: person::email_in(contact.email, "Email")?,
        phone: contact.phone.or(contact.mobile_phone),
        title: contact.title,
        department: contact.department,
        account_id: contact.account_id,
        account_name: contact.account__name,
        owner_id: contact.owner_id,
        street: contact.mailing_street,
        city: contact.mailing_city,
        state: contact.mailing_state,
        postal_code: contact.mailing_postal_code,
        country: contact.mailing_country,
        birthdate: contact.birthdate,
        source: contact.lead_source,
        may_email: !contact.has_opted_out_of_email,
        may_call: !contact.do_not_call,
        created_at: contact.created_date,
        updated_at: contact.last_modified_date,
    })
}

mapper!(Contact => Person, map, objects: ["Contact"]);

#[cfg(test)]
mod tests;
