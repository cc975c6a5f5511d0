use kilofold_plugin::testing::{Outcome, Run, json};

use super::*;

const ADA: &str = r#"{
    "attributes": {"type": "Contact", "url": "/services/data/v62.0/sobjects/Contact/003D000000QYVl5IAH"},
    "Id": "003D000000QYVl5IAH", "FirstName": "Zoë 👩🏽‍🚀", "LastName": "O'Neil \"Bob\"", "Salutation": "Dr.",
    "Email": "Zoe.ONEIL@Example.org", "Phone": null, "MobilePhone": "+44 20 7946 0000", "Title": "工程师",
    "Department": null, "AccountId": "001D000000IRFmaIAH", "Account": {"attributes": {}, "Name": "Ünïcode & Söhne"},
    "OwnerId": null, "MailingStreet": "313 Constitution Place\nAustin", "MailingCity": "Austin", "MailingState": null,
    "MailingPostalCode": "78767", "MailingCountry": "USA", "Birthdate": "1980-02-29", "LeadSource": "Web",
    "HasOptedOutOfEmail": true, "DoNotCall": false,
    "CreatedDate": "2022-02-15T06:21:19.000+0000", "LastModifiedDate": "2024-02-29T23:59:59.123+0000"}"#;

fn one(record: &str) -> Outcome {
    Run::<Plugin>::new().map(&format!("[{record}]")).remove(0)
}

#[test]
fn maps_a_contact() {
    let outcome = one(ADA);
    assert_eq!(outcome.made("person")[0].key, "003D000000QYVl5IAH");
    assert_eq!(
        outcome.body("person"),
        json!({
            "name": "Zoë 👩🏽‍🚀 O'Neil \"Bob\"", "first_name": "Zoë 👩🏽‍🚀", "last_name": "O'Neil \"Bob\"",
            "salutation": "Dr.", "email": "zoe.oneil@example.org", "phone": "+44 20 7946 0000", "title": "工程师",
            "department": null, "account_id": "001D000000IRFmaIAH", "account_name": "Ünïcode & Söhne",
            "owner_id": null, "street": "313 Constitution Place\nAustin", "city": "Austin", "state": null,
            "postal_code": "78767", "country": "USA", "birthdate": "1980-02-29", "source": "Web",
            "may_email": false, "may_call": true,
            "created_at": "2022-02-15T06:21:19Z", "updated_at": "2024-02-29T23:59:59.123Z",
        })
    );
}

#[test]
fn skips_and_rejects_for_a_reason() {
    let skipped = one(&ADA.replace("\"Zoe.ONEIL@Example.org\"", "null"));
    assert_eq!(skipped, Outcome::Skipped("no e-mail address".to_owned()));
    assert_eq!(
        one(&ADA.replace("Zoe.ONEIL@Example.org", "see notes")),
        Outcome::Failed {
            code: "email.invalid".to_owned(),
            message: "\"see notes\" is not an e-mail address".to_owned(),
            field: Some("Email".to_owned()),
        }
    );
    assert_eq!(
        one(&ADA.replace("003D000000QYVl5IAH", "003d000000QYVl5IAH")).code(),
        Some("field.value")
    );
    assert_eq!(one(&ADA.replace("\"O'Neil \\\"Bob\\\"\"", "null")).code(), Some("field.missing"));
    assert_eq!(one(&ADA.replace("1980-02-29", "1981-02-29")).code(), Some("field.value"));
}

#[test]
fn one_bad_record_spoils_no_other() {
    let bad = ADA.replace("Zoe.ONEIL@Example.org", "none");
    let outcomes = Run::<Plugin>::new().map(&format!("[{ADA},{bad},{ADA}]"));
    assert_eq!(outcomes[0], outcomes[2]);
    assert_eq!((outcomes[0].made("person").len(), outcomes[1].code()), (1, Some("email.invalid")));
}
