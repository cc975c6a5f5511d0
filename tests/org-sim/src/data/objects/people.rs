//! Objects of people: contacts, leads, users and what users belong to.

use super::*;

pub(super) fn contact() -> Object {
    let mut fields = vec![
        lookup("MasterRecordId", "Master Record ID", &["Contact"], "MasterRecord", M::Nothing)
            .read_only(),
        lookup("AccountId", "Account ID", &["Account"], "Account", M::Parent("Account", 6)),
    ];
    fields.extend(person());
    fields.extend(address([
        "MailingAddress",
        "MailingStreet",
        "MailingCity",
        "MailingState",
        "MailingPostalCode",
        "MailingCountry",
        "MailingLatitude",
        "MailingLongitude",
        "MailingGeocodeAccuracy",
    ]));
    fields.extend([
        phone("Phone", "Business Phone", 8),
        phone("Fax", "Business Fax", 70),
        phone("MobilePhone", "Mobile Phone", 25),
        phone("HomePhone", "Home Phone", 60),
        lookup("ReportsToId", "Reports To ID", &["Contact"], "ReportsTo", M::Parent("Contact", 70)),
        Field::new("Email", "Email", K::Email, M::Email),
        text("Title", "Title", 128, M::Title(10)),
        text("Department", "Department", 80, M::Department(25)),
        pick("LeadSource", "Lead Source", SOURCES, 20),
        Field::new("Birthdate", "Birthdate", K::Date, M::Birthday(30)),
        description(12),
        owner(),
        flag("HasOptedOutOfEmail", "Email Opt Out", 11),
        flag("DoNotCall", "Do Not Call", 7),
        Field::new("LastActivityDate", "Last Activity", K::Date, M::Day(-200, 0, 40)).read_only(),
        text("EmailBouncedReason", "Email Bounced Reason", 255, M::Nothing),
        Field::new("EmailBouncedDate", "Email Bounced Date", K::DateTime, M::Nothing),
        flag("IsEmailBounced", "Is Email Bounced", 0).read_only(),
        pick("Level__c", "Level", &["Secondary", "Tertiary", "Primary"], 35),
        Field::new("Languages__c", "Languages", K::Multi(LANGUAGES), M::Multi(30)),
        Field::new("Score__c", "Score", K::Double(8, 2), M::Number(0, 10_000, 2, 15)),
        text("External_Ref__c", "External reference", 40, M::Code("CRM")).external(),
        flag("Newsletter__c", "Newsletter", 45),
    ]);
    object("Contact", "Contact", "Contacts", "003", fields)
}

pub(super) fn lead() -> Object {
    let mut fields = person();
    fields.extend([
        text("Title", "Title", 128, M::Title(15)),
        text("Company", "Company", 255, M::Company).required(),
    ]);
    fields.extend(address([
        "Address",
        "Street",
        "City",
        "State",
        "PostalCode",
        "Country",
        "Latitude",
        "Longitude",
        "GeocodeAccuracy",
    ]));
    fields.extend([
        phone("Phone", "Phone", 10),
        phone("MobilePhone", "Mobile Phone", 35),
        Field::new("Email", "Email", K::Email, M::Email),
        Field::new("Website", "Website", K::Url, M::Website(40)),
        description(25),
        pick("LeadSource", "Lead Source", SOURCES, 10),
        pick(
            "Status",
            "Status",
            &[
                "Open - Not Contacted",
                "Working - Contacted",
                "Closed - Converted",
                "Closed - Not Converted",
            ],
            0,
        )
        .required(),
        pick("Industry", "Industry", INDUSTRIES, 30),
        pick("Rating", "Rating", RATINGS, 30),
        Field::new(
            "AnnualRevenue",
            "Annual Revenue",
            K::Currency(18, 0),
            M::Number(10_000, 50_000_000, 0, 50),
        ),
        Field::new("NumberOfEmployees", "Employees", K::Int, M::Whole(1, 5_000, 40)),
        lookup("OwnerId", "Owner ID", &["Group", "User"], "Owner", M::Either("User", "Group", 0))
            .required(),
        flag("HasOptedOutOfEmail", "Email Opt Out", 9),
        flag("IsConverted", "Converted", 0).read_only(),
        flag("IsUnreadByOwner", "Unread By Owner", 30),
        pick(
            "Product_Interest__c",
            "Product Interest",
            &["GC1000 series", "GC5000 series", "GC3000 series"],
            40,
        ),
    ]);
    object("Lead", "Lead", "Leads", "00Q", fields)
}

pub(super) fn user() -> Object {
    let mut fields = vec![text("Username", "Username", 80, M::Username).required()];
    fields.extend(person().into_iter().filter(|field| field.name != "Salutation"));
    fields.extend([
        text("CompanyName", "Company Name", 80, M::Company),
        text("Department", "Department", 80, M::Department(20)),
        text("Title", "Title", 80, M::Title(10)),
        Field::new("Email", "Email", K::Email, M::Username).required(),
        text("Alias", "Alias", 8, M::Digits(5, 0)).required(),
        flag("IsActive", "Active", 95),
        pick(
            "TimeZoneSidKey",
            "Time Zone",
            &["Europe/London", "America/Los_Angeles", "Asia/Tokyo", "Europe/Berlin"],
            0,
        )
        .required(),
        pick("UserType", "User Type", &["Standard"], 0).required(),
        lookup("ProfileId", "Profile ID", &["Profile"], "Profile", M::Parent("Profile", 0))
            .required(),
        lookup("ManagerId", "Manager ID", &["User"], "Manager", M::Parent("User", 30)),
        Field::new("LastLoginDate", "Last Login", K::DateTime, M::Moment(-30, 0, 10)).read_only(),
    ]);
    let mut object = object("User", "User", "Users", "005", fields);
    object.fields.retain(|field| field.name != "IsDeleted");
    object.usual = 24;
    object
}

pub(super) fn profile() -> Object {
    let mut object = object(
        "Profile",
        "Profile",
        "Profile",
        "00e",
        vec![
            text(
                "Name",
                "Name",
                255,
                M::Listed(&[
                    "System Administrator",
                    "Standard User",
                    "Read Only",
                    "Minimum Access - API Only Integrations",
                ]),
            )
            .required()
            .naming(),
            pick("UserType", "User Type", &["Standard"], 0).required(),
            description(50),
        ],
    );
    object.fields.retain(|field| field.name != "IsDeleted");
    object.usual = 4;
    object
}

pub(super) fn group() -> Object {
    let mut object = object(
        "Group",
        "Group",
        "Group",
        "00G",
        vec![
            text(
                "Name",
                "Name",
                40,
                M::Listed(&["Inbound leads", "Partner leads", "客户服务", "Événements"]),
            )
            .required()
            .naming(),
            pick("Type", "Type", &["Queue"], 0).required(),
            Field::new("Email", "Email", K::Email, M::Nothing),
        ],
    );
    object.fields.retain(|field| field.name != "IsDeleted");
    object.usual = 4;
    object
}
