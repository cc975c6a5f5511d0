use kilofold_plugin::testing::{Outcome, Run, json};

use super::*;

const LEAD: &str = r#"{
    "Id": "00QD000000A1B2cMAF", "FirstName": null, "LastName": "Łukasiewicz", "Salutation": null,
    "Email": "jan@example.pl", "Phone": "22 555 01 01", "MobilePhone": "600 100 200", "Title": "VP, \"Growth\"",
    "Company": "北極星商事\n東京", "Status": "Open - Not Contacted", "Rating": "Hot", "Industry": null, "OwnerId": null,
    "Street": null, "City": "Łódź", "State": null, "PostalCode": null, "Country": "Polska", "LeadSource": null,
    "HasOptedOutOfEmail": false, "IsConverted": true,
    "CreatedDate": "2024-01-31T00:00:00.000+0000", "LastModifiedDate": "2024-02-01T00:00:00.000+0000"}"#;

fn one(record: &str) -> Outcome {
    // The id's checksum is not what these tests are about.
    let record =
        record.replace("00QD000000A1B2cMAF", &Id::parse("00QD000000A1B2c").unwrap().to_18());
    Run::<Plugin>::new().map(&format!("[{record}]")).remove(0)
}

#[test]
fn maps_a_lead() {
    assert_eq!(
        one(LEAD).body("person"),
        json!({
            "name": "Łukasiewicz", "first_name": null, "last_name": "Łukasiewicz", "salutation": null,
            "email": "jan@example.pl", "phone": "22 555 01 01", "title": "VP, \"Growth\"",
            "company": "北極星商事\n東京", "status": "Open - Not Contacted", "rating": "Hot", "industry": null,
            "owner_id": null, "street": null, "city": "Łódź", "state": null, "postal_code": null,
            "country": "Polska", "source": null, "may_email": true, "converted": true,
            "created_at": "2024-01-31T00:00:00Z", "updated_at": "2024-02-01T00:00:00Z",
        })
    );
}

#[test]
fn skips_and_rejects_for_a_reason() {
    assert_eq!(
        one(&LEAD.replace("\"jan@example.pl\"", "null")),
        Outcome::Skipped("no e-mail address".to_owned())
    );
    assert_eq!(
        one(&LEAD.replace("jan@example.pl", "jan(at)example.pl")).code(),
        Some("email.invalid")
    );
    assert_eq!(
        one(&LEAD.replace("\"HasOptedOutOfEmail\": false", "\"HasOptedOutOfEmail\": \"no\""))
            .code(),
        Some("field.type")
    );
}
