//! Leads as persons.

use std::borrow::Cow;

use kilofold_plugin::person;
use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Lead<'a> {
    id: Id<'a>,
    first_name: Option<&'a str>,
    last_name: &'a str,
    salutation: Option<&'a str>,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    mobile_phone: Option<&'a str>,
    title: Option<&'a str>,
    company: Option<&'a str>,
    status: Option<&'a str>,
    rating: Option<&'a str>,
    industry: Option<&'a str>,
    owner_id: Option<Id<'a>>,
    street: Option<&'a str>,
    city: Option<&'a str>,
    state: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: Option<&'a str>,
    lead_source: Option<&'a str>,
    has_opted_out_of_email: bool,
    is_converted: bool,
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
    company: Option<&'a str>,
    status: Option<&'a str>,
    rating: Option<&'a str>,
    industry: Option<&'a str>,
    owner_id: Option<Id<'a>>,
    street: Option<&'a str>,
    city: Option<&'a str>,
    state: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: Option<&'a str>,
    source: Option<&'a str>,
    may_email: bool,
    converted: bool,
    created_at: DateTime,
    updated_at: DateTime,
}

fn map(lead: Lead<'_>) -> Result<Person<'_>, Reject> {
    Ok(Person {
        id: lead.id,
        name: person::full_name(lead.first_name, lead.last_name),
        first_name: lead.first_name,
        last_name: lead.last_name,
        salutation: lead.salutation,
        email: person::email_in(lead.email, "Email")?,
        phone: lead.phone.or(lead.mobile_phone),
        title: lead.title,
        company: lead.company,
        status: lead.status,
        rating: lead.rating,
        industry: lead.industry,
        owner_id: lead.owner_id,
        street: lead.street,
        city: lead.city,
        state: lead.state,
        postal_code: lead.postal_code,
        country: lead.country,
        source: lead.lead_source,
        may_email: !lead.has_opted_out_of_email,
        converted: lead.is_converted,
        created_at: lead.created_date,
        updated_at: lead.last_modified_date,
    })
}

mapper!(Lead => Person, map, objects: ["Lead"]);

#[cfg(test)]
mod tests;
