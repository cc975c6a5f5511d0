//! The object that a project maps: its fields, which of them are read at first, and a record of each kind.

use serde_json::{Map, Value, json};

/// What a field holds, as far as a mapping's types tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The record's own id, or that of another record.
    Id,
    /// Any text.
    Text,
    /// An e-mail address.
    Email,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// A time of the day.
    Time,
    /// Several choices.
    Choices,
    /// A compound address.
    Address,
    /// A compound location.
    Location,
    /// Anything else.
    Json,
}

impl Kind {
    /// The kind of a field of this type of Salesforce's; none for what no query of many records may select.
    fn of(salesforce: &str) -> Option<Self> {
        Some(match salesforce {
            "id" | "reference" => Self::Id,
            "email" => Self::Email,
            "boolean" => Self::Boolean,
            "int" | "long" => Self::Integer,
            "double" | "currency" | "percent" => Self::Number,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "time" => Self::Time,
            "multipicklist" => Self::Choices,
            "address" => Self::Address,
            "location" => Self::Location,
            "base64" => return None,
            "complexvalue" | "anyType" | "json" => Self::Json,
            _ => Self::Text,
        })
    }

    /// A value of this kind, as Salesforce sends it.
    pub(super) fn sample(self, field: &str) -> Value {
        match self {
            Self::Id => json!("001D000000IRFmaIAH"),
            Self::Text => json!(format!("Some {}", super::text::words(field).to_lowercase())),
            Self::Email => json!("Ada@Example.org"),
            Self::Boolean => json!(true),
            Self::Integer => json!(12),
            Self::Number => json!(1250.5),
            Self::Date => json!("2024-02-29"),
            Self::DateTime => json!("2024-02-29T08:30:00.000+0000"),
            Self::Time => json!("08:30:00.000Z"),
            Self::Choices => json!("Red;Green"),
            Self::Address => json!({
                "city": "San Francisco", "country": "US", "geocodeAccuracy": null, "latitude": null,
                "longitude": null, "postalCode": "94105", "state": "CA", "street": "1 Market St",
            }),
            Self::Location => json!({ "latitude": 37.79, "longitude": -122.4 }),
            Self::Json => json!({ "any": ["thing"] }),
        }
    }

    /// The same value in the output that the project makes of it.
    pub(super) fn made(self, field: &str, lang: super::Lang) -> Value {
        match self {
            Self::Email => json!("ada@example.org"),
            Self::DateTime => json!("2024-02-29T08:30:00Z"),
            // Only the Rust SDK reads times.
            Self::Time if lang == super::Lang::Rust => json!("08:30:00Z"),
            Self::Choices => json!(["Red", "Green"]),
            other => other.sample(field),
        }
    }
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its API name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be empty.
    pub nullable: bool,
    /// Whether it is read at first; the others are there in a comment.
    pub chosen: bool,
}

/// An object and its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its API name.
    pub name: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// Fields that most mappings want, where an object has them.
const USUAL: [&str; 44] = [
    "Id",
    "Name",
    "FirstName",
    "LastName",
    "Email",
    "Phone",
    "Title",
    "Company",
    "AccountId",
    "MailingAddress",
    "BillingAddress",
    "Address",
    "Birthdate",
    "LeadSource",
    "HasOptedOutOfEmail",
    "Status",
    "StageName",
    "Amount",
    "Probability",
    "CloseDate",
    "IsClosed",
    "IsWon",
    "Type",
    "Industry",
    "Website",
    "AnnualRevenue",
    "NumberOfEmployees",
    "Subject",
    "ActivityDate",
    "ActivityDateTime",
    "WhoId",
    "WhatId",
    "Priority",
    "Origin",
    "CaseNumber",
    "ContactId",
    "IsActive",
    "StartDate",
    "EndDate",
    "ProductCode",
    "Family",
    "OwnerId",
    "CreatedDate",
    "LastModifiedDate",
];
/// Fields that are read at first, at most.
const AT_FIRST: usize = 24;

impl Object {
    /// An object of these fields: API name, Salesforce's type, and whether it may be empty.
    pub fn new<'f>(
        name: &str,
        fields: impl IntoIterator<Item = (&'f str, &'f str, bool)>,
        all: bool,
    ) -> Self {
        let fields = fields.into_iter().filter_map(|(name, salesforce, nullable)| {
            let kind = Kind::of(salesforce)?;
            // Salesforce fills these in for every record; what else it calls required may be empty in old records of an
            // org whose own people made the field.
            let never_empty = kind == Kind::Boolean || (!nullable && !name.ends_with("__c"));
            Some(Field { name: name.to_owned(), kind, nullable: !never_empty, chosen: all })
        });
        let mut object = Self { name: name.to_owned(), fields: fields.collect() };
        object.fields.sort_by_key(|field| field.name != "Id");
        if !all {
            let custom = |field: &Field| field.name.ends_with("__c");
            let mut room = AT_FIRST;
            for wanted in [true, false] {
                for field in &mut object.fields {
                    let fits =
                        if wanted { USUAL.contains(&field.name.as_str()) } else { custom(field) };
                    if fits && room > 0 && !field.chosen {
                        field.chosen = true;
                        room -= 1;
                    }
                }
            }
        }
        object
    }

    /// A standard object, whatever the case of its name.
    pub fn standard(name: &str, all: bool) -> Option<Self> {
        let (found, fields) = standard().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let fields = fields.split(", ").filter_map(|field| {
            let (name, kind) = field.split_once(' ')?;
            Some((name, kind.trim_end_matches('!'), !kind.ends_with('!')))
        });
        Some(Self::new(found, fields, all))
    }

    /// The names of the standard objects.
    pub fn standard_names() -> Vec<&'static str> {
        standard().map(|(name, _)| name).collect()
    }

    /// The fields that are read at first.
    pub(super) fn chosen(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.chosen)
    }

    /// A record as Salesforce sends it: with everything, or with nothing that may be empty.
    pub(super) fn sample(&self, full: bool) -> Value {
        let mut record = Map::new();
        record.insert("attributes".to_owned(), json!({ "type": self.name }));
        for field in self.chosen() {
            let value = match (full, field.nullable) {
                (false, true) => Value::Null,
                // Two records are two.
                _ if field.name == "Id" => {
                    json!(if full { "001D000000IRFmaIAH" } else { "001D000000IRFmbIAH" })
                }
                _ => field.kind.sample(&field.name),
            };
            record.insert(field.name.clone(), value);
        }
        Value::Object(record)
    }
}

fn standard() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("standard.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": "))
}
