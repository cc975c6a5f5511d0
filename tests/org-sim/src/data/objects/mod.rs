//! The objects of the org and their fields.

use std::sync::LazyLock;

use crate::data::make::Make as M;
use crate::data::schema::{Field, Kind as K, Object};

mod business;
mod odd;
mod people;

/// Every object of the org, in the order of the list of objects.
pub static OBJECTS: LazyLock<Vec<Object>> = LazyLock::new(|| {
    vec![
        business::account(),
        odd::account_history(),
        people::contact(),
        people::group(),
        business::invoice(),
        people::lead(),
        odd::login_history(),
        business::opportunity(),
        people::profile(),
        odd::supplier(),
        business::task(),
        people::user(),
        // The last one, since the values of the others follow from their places.
        odd::oauth_token(),
    ]
});

/// The position of an object, whatever the case of the name.
pub fn find(name: &str) -> Option<usize> {
    OBJECTS.iter().position(|object| object.name.eq_ignore_ascii_case(name))
}

const SOURCES: &[&str] = &[
    "Web",
    "Phone Inquiry",
    "Partner Referral",
    "Purchased List",
    "Trade Show",
    "Word of mouth",
    "Employee Referral",
    "Other",
];

const INDUSTRIES: &[&str] = &[
    "Agriculture",
    "Banking",
    "Biotechnology",
    "Chemicals",
    "Construction",
    "Education",
    "Energy",
    "Healthcare",
    "Insurance",
    "Not For Profit",
    "Retail",
    "Telecommunications",
    "Transportation",
    "Utilities",
];

const SALUTATIONS: &[&str] = &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."];

const RATINGS: &[&str] = &["Hot", "Warm", "Cold"];

const GEOCODES: &[&str] = &["Address", "NearAddress", "Block", "Street", "Zip", "City", "State"];

const LANGUAGES: &[&str] =
    &["English", "Deutsch", "Français", "日本語", "العربية", "Ελληνικά", "Русский", "हिन्दी"];

fn object(
    name: &'static str,
    label: &'static str,
    plural: &'static str,
    prefix: &'static str,
    own: Vec<Field>,
) -> Object {
    let mut fields =
        vec![id(), Field::new("IsDeleted", "Deleted", K::Bool, M::Deleted).read_only()];
    fields.extend(own);
    fields.extend([
        created(),
        created_by(),
        Field::new("LastModifiedDate", "Last Modified Date", K::DateTime, M::Modified)
            .required()
            .read_only(),
        lookup(
            "LastModifiedById",
            "Last Modified By ID",
            &["User"],
            "LastModifiedBy",
            M::ParentNow("User", 0),
        )
        .required()
        .read_only(),
        Field::new("SystemModstamp", "System Modstamp", K::DateTime, M::Stamp)
            .required()
            .read_only(),
    ]);
    Object { name, label, plural, prefix, fields, replicateable: true, writable: true, usual: 0 }
}

fn id() -> Field {
    Field::new("Id", "Record ID", K::Id, M::Id)
}

fn created() -> Field {
    Field::new("CreatedDate", "Created Date", K::DateTime, M::Created).required().read_only()
}

fn created_by() -> Field {
    lookup("CreatedById", "Created By ID", &["User"], "CreatedBy", M::Parent("User", 0))
        .required()
        .read_only()
}

fn owner() -> Field {
    lookup("OwnerId", "Owner ID", &["User"], "Owner", M::Parent("User", 0)).required()
}

fn lookup(
    name: &'static str,
    label: &'static str,
    to: &'static [&'static str],
    relationship: &'static str,
    make: M,
) -> Field {
    Field::new(name, label, K::Reference(to, relationship), make)
}

fn text(name: &'static str, label: &'static str, length: u32, make: M) -> Field {
    Field::new(name, label, K::Text(length), make)
}

fn phone(name: &'static str, label: &'static str, null: u8) -> Field {
    Field::new(name, label, K::Phone, M::Phone(null))
}

fn flag(name: &'static str, label: &'static str, percent: u8) -> Field {
    Field::new(name, label, K::Bool, M::Flag(percent))
}

fn pick(
    name: &'static str,
    label: &'static str,
    values: &'static [&'static str],
    null: u8,
) -> Field {
    Field::new(name, label, K::Pick(values), M::Pick(null))
}

fn description(null: u8) -> Field {
    Field::new("Description", "Description", K::Long(32_000), M::Prose(null))
}

/// A compound address and its parts; the names are `[compound, street, city, state, postal code, country, latitude, longitude, accuracy]`.
fn address(names: [&'static str; 9]) -> [Field; 9] {
    let [whole, street, city, state, postal, country, latitude, longitude, accuracy] = names;
    [
        Field::new(street, "Street", K::Area(255), M::Street).part_of(whole),
        text(city, "City", 40, M::City).part_of(whole),
        text(state, "State/Province", 80, M::State).part_of(whole),
        text(postal, "Zip/Postal Code", 20, M::Postal).part_of(whole),
        text(country, "Country", 80, M::Country).part_of(whole),
        Field::new(latitude, "Latitude", K::Double(18, 15), M::Latitude).part_of(whole),
        Field::new(longitude, "Longitude", K::Double(18, 15), M::Longitude).part_of(whole),
        Field::new(accuracy, "Geocode Accuracy", K::Pick(GEOCODES), M::Pick(80)).part_of(whole),
        Field::new(whole, "Address", K::Address, M::Address(names)),
    ]
}

fn person() -> Vec<Field> {
    vec![
        text("LastName", "Last Name", 80, M::Last).required().part_of("Name"),
        text("FirstName", "First Name", 40, M::First).part_of("Name"),
        Field::new("Salutation", "Salutation", K::Pick(SALUTATIONS), M::Pick(30)).part_of("Name"),
        text("Name", "Full Name", 121, M::FullName).required().read_only().naming(),
    ]
}
