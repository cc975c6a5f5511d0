//! Accounts as group objects.

use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Account<'a> {
    id: Id<'a>,
    name: &'a str,
    r#type: Option<&'a str>,
    industry: Option<&'a str>,
    account_number: Option<&'a str>,
    parent_id: Option<Id<'a>>,
    website: Option<&'a str>,
    phone: Option<&'a str>,
    annual_revenue: Option<Number<'a>>,
    number_of_employees: Option<i64>,
    rating: Option<&'a str>,
    owner_id: Option<Id<'a>>,
    description: Option<&'a str>,
    billing_street: Option<&'a str>,
    billing_city: Option<&'a str>,
    billing_state: Option<&'a str>,
    billing_postal_code: Option<&'a str>,
    billing_country: Option<&'a str>,
    billing_latitude: Option<Number<'a>>,
    billing_longitude: Option<Number<'a>>,
    created_date: DateTime,
    last_modified_date: DateTime,
}

#[derive(Output)]
#[kind("object")]
struct Group<'a> {
    #[key]
    id: Id<'a>,
    object_type: &'a str,
    name: &'a str,
    category: Option<&'a str>,
    industry: Option<&'a str>,
    number: Option<&'a str>,
    parent_id: Option<Id<'a>>,
    website: Option<&'a str>,
    phone: Option<&'a str>,
    annual_revenue: Option<Number<'a>>,
    employees: Option<i64>,
    rating: Option<&'a str>,
    owner_id: Option<Id<'a>>,
    description: Option<&'a str>,
    billing_street: Option<&'a str>,
    billing_city: Option<&'a str>,
    billing_state: Option<&'a str>,
    billing_postal_code: Option<&'a str>,
    billing_country: Option<&'a str>,
    latitude: Option<Number<'a>>,
    longitude: Option<Number<'a>>,
    created_at: DateTime,
    updated_at: DateTime,
}

fn map(account: Account<'_>) -> Result<Group<'_>, Reject> {
    if account.number_of_employees.is_some_and(|it| it < 0) {
        let message = "the number of employees is below zero";
        return Err(Reject::new("employees.negative", message).field("NumberOfEmployees"));
    }
    Ok(Group {
        id: account.id,
        object_type: "group",
        name: account.name,
        category: account.r#type,
        industry: account.industry,
        number: account.account_number,
        parent_id: account.parent_id,
        website: account.website,
        phone: account.phone,
        annual_revenue: account.annual_revenue,
        employees: account.number_of_employees,
        rating: account.rating,
        owner_id: account.owner_id,
        description: account.description,
        billing_street: account.billing_street,
        billing_city: account.billing_city,
        billing_state: account.billing_state,
        billing_postal_code: account.billing_postal_code,
        billing_country: account.billing_country,
        latitude: account.billing_latitude,
        longitude: account.billing_longitude,
        created_at: account.created_date,
        updated_at: account.last_modified_date,
    })
}

mapper!(Account => Group, map, objects: ["Account"]);

#[cfg(test)]
mod tests;
