//! The mapping of the contact plugin as a host without plugins would have it: structs, in native code.

mod page;

use std::borrow::Cow;

use kilofold::model::{Outcome, Output, Rejection};
use kilofold_plugin::{Date, DateTime, Id, person};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use page::{Page, SIZE, make};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Text that is borrowed where it has no escapes, inside an `Option` as well.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    records: Vec<Contact<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contact<'a> {
    id: &'a str,
    #[serde(borrow)]
    first_name: Option<Text<'a>>,
    #[serde(borrow)]
    last_name: Text<'a>,
    salutation: Option<Text<'a>>,
    email: Option<Text<'a>>,
    phone: Option<Text<'a>>,
    mobile_phone: Option<Text<'a>>,
    title: Option<Text<'a>>,
    department: Option<Text<'a>>,
    account_id: Option<Text<'a>>,
    account: Option<Account<'a>>,
    owner_id: Option<Text<'a>>,
    mailing_street: Option<Text<'a>>,
    mailing_city: Option<Text<'a>>,
    mailing_state: Option<Text<'a>>,
    mailing_postal_code: Option<Text<'a>>,
    mailing_country: Option<Text<'a>>,
    #[serde(deserialize_with = "date")]
    birthdate: Option<Date>,
    lead_source: Option<Text<'a>>,
    has_opted_out_of_email: bool,
    do_not_call: bool,
    #[serde(deserialize_with = "date_time")]
    created_date: DateTime,
    #[serde(deserialize_with = "date_time")]
    last_modified_date: DateTime,
}

fn date<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<Date>, D::Error> {
    let text = Option::<&str>::deserialize(from)?;
    let parse = |text| Date::parse(text).ok_or_else(|| serde::de::Error::custom("no date"));
    text.map(parse).transpose()
}

fn date_time<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<DateTime, D::Error> {
    let text = <&str>::deserialize(from)?;
    DateTime::parse(text).ok_or_else(|| serde::de::Error::custom("no date and time"))
}

#[derive(Serialize)]
struct Person<'a> {
    name: Cow<'a, str>,
    first_name: Option<&'a str>,
    last_name: &'a str,
    salutation: Option<&'a str>,
    email: Cow<'a, str>,
    phone: Option<&'a str>,
    title: Option<&'a str>,
    department: Option<&'a str>,
    account_id: Option<&'a str>,
    account_name: Option<&'a str>,
    owner_id: Option<&'a str>,
    street: Option<&'a str>,
    city: Option<&'a str>,
    state: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: Option<&'a str>,
    birthdate: Shown<Option<Date>>,
    source: Option<&'a str>,
    may_email: bool,
    may_call: bool,
    created_at: Shown<DateTime>,
    updated_at: Shown<DateTime>,
}

/// A value that is written as it is displayed.
struct Shown<T>(T);

impl Serialize for Shown<DateTime> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl Serialize for Shown<Option<Date>> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match &self.0 {
            Some(date) => to.collect_str(date),
            None => to.serialize_none(),
        }
    }
}

/// Reads and maps with serde_json.
pub fn serde_json(page: &Page) -> Result<Vec<Outcome>> {
    let answer: Answer<'_> = ::serde_json::from_slice(&page.text)?;
    outcomes(&answer, |person| Ok(::serde_json::to_string(person)?))
}

/// Reads and maps with sonic-rs.
pub fn sonic(page: &Page) -> Result<Vec<Outcome>> {
    let answer: Answer<'_> = sonic_rs::from_slice(&page.text)?;
    outcomes(&answer, |person| Ok(sonic_rs::to_string(person)?))
}

fn outcomes(
    answer: &Answer<'_>,
    write: impl Fn(&Person<'_>) -> Result<String>,
) -> Result<Vec<Outcome>> {
    let kind = "person".into();
    let one = |contact: &Contact<'_>| {
        Ok(match map(contact) {
            Ok(person) => Outcome::Mapped(vec![Output {
                kind: std::sync::Arc::clone(&kind),
                key: contact.id.to_owned(),
                body: write(&person)?.into(),
            }]),
            Err(outcome) => outcome,
        })
    };
    answer.records.iter().map(one).collect()
}

fn map<'a>(contact: &'a Contact<'a>) -> std::result::Result<Person<'a>, Outcome> {
    let text = |text: &'a Option<Text<'a>>| text.as_ref().map(|text| &*text.0);
    let id = |id: &'a Option<Text<'a>>| text(id).filter(|id| Id::parse(id).is_some());
    let email = text(&contact.email);
    let email = email.ok_or_else(|| Outcome::Skipped("no e-mail address".to_owned()))?;
    let email = person::email(email).ok_or_else(|| {
        Outcome::Failed(Rejection {
            code: "email.invalid".to_owned(),
            message: format!("{email:?} is not an e-mail address"),
            field: Some("Email".to_owned()),
        })
    })?;
    let first_name = text(&contact.first_name);
    Ok(Person {
        name: person::full_name(first_name, &contact.last_name.0),
        first_name,
        last_name: &contact.last_name.0,
        salutation: text(&contact.salutation),
        email,
        phone: text(&contact.phone).or(text(&contact.mobile_phone)),
        title: text(&contact.title),
        department: text(&contact.department),
        account_id: id(&contact.account_id),
        account_name: contact.account.as_ref().and_then(|account| text(&account.name)),
        owner_id: id(&contact.owner_id),
        street: text(&contact.mailing_street),
        city: text(&contact.mailing_city),
        state: text(&contact.mailing_state),
        postal_code: text(&contact.mailing_postal_code),
        country: text(&contact.mailing_country),
        birthdate: Shown(contact.birthdate),
        source: text(&contact.lead_source),
        may_email: !contact.has_opted_out_of_email,
        may_call: !contact.do_not_call,
        created_at: Shown(contact.created_date),
        updated_at: Shown(contact.last_modified_date),
    })
}
