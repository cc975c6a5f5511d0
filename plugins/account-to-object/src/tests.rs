use kilofold_plugin::testing::{Outcome, Run, json};

use super::*;

const ACCOUNT: &str = r#"{
    "Id": "001D000000IRFmaIAH", "Name": "O'Neil \"Bros\" \\ 北極星 🚢", "Type": "Customer - Direct", "Industry": null,
    "AccountNumber": "ACC-1", "ParentId": null, "Website": "https://example.org/?a=1&b=2", "Phone": null,
    "AnnualRevenue": 1.39E8, "NumberOfEmployees": 42, "Rating": "Hot", "OwnerId": null,
    "Description": "first\r\nsecond\tthird", "BillingStreet": "Große Straße 1\nHinterhaus", "BillingCity": "Köln",
    "BillingState": null, "BillingPostalCode": "05067", "BillingCountry": "Germany", "BillingLatitude": 50.941278,
    "BillingLongitude": null, "CreatedDate": "2022-02-15T06:21:19.000+0000",
    "LastModifiedDate": "2022-02-15T06:21:19.000+0000"}"#;

fn one(record: &str) -> Outcome {
    Run::<Plugin>::new().map(&format!("[{record}]")).remove(0)
}

#[test]
fn maps_an_account() {
    assert_eq!(
        one(ACCOUNT).body("object"),
        json!({
            "object_type": "group", "name": "O'Neil \"Bros\" \\ 北極星 🚢", "category": "Customer - Direct",
            "industry": null, "number": "ACC-1", "parent_id": null, "website": "https://example.org/?a=1&b=2",
            "phone": null, "annual_revenue": 1.39E8, "employees": 42, "rating": "Hot", "owner_id": null,
            "description": "first\r\nsecond\tthird", "billing_street": "Große Straße 1\nHinterhaus",
            "billing_city": "Köln", "billing_state": null, "billing_postal_code": "05067",
            "billing_country": "Germany", "latitude": 50.941278, "longitude": null,
            "created_at": "2022-02-15T06:21:19Z", "updated_at": "2022-02-15T06:21:19Z",
        })
    );
}

#[test]
fn rejects_what_is_not_true() {
    assert_eq!(one(&ACCOUNT.replace("42", "-1")).code(), Some("employees.negative"));
    assert_eq!(one(&ACCOUNT.replace("42", "42.5")).code(), Some("field.value"));
    assert_eq!(one(&ACCOUNT.replace("1.39E8", "\"much\"")).code(), Some("field.type"));
}
