//! The objects of the org and their fields.

use std::sync::LazyLock;

use super::make::Make as M;
use super::schema::{Field, Kind as K, Object};

/// Every object of the org, in the order of the list of objects.
pub static OBJECTS: LazyLock<Vec<Object>> = LazyLock::new(|| {
    vec![
        account(),
        account_history(),
        contact(),
        group(),
        invoice(),
        lead(),
        login_history(),
        opportunity(),
        profile(),
        supplier(),
        task(),
        user(),
    ]
});

/// The position of an object, whatever the case of the name.
pub fn find(name: &str) -> Option<usize> {
    OBJECTS
        .iter()
        .position(|object| object.name.eq_ignore_ascii_case(name))
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
const GEOCODES: &[&str] = &[
    "Address",
    "NearAddress",
    "Block",
    "Street",
    "Zip",
    "City",
    "State",
];
const LANGUAGES: &[&str] = &[
    "English",
    "Deutsch",
    "Français",
    "日本語",
    "العربية",
    "Ελληνικά",
    "Русский",
    "हिन्दी",
];

fn object(
    name: &'static str,
    label: &'static str,
    plural: &'static str,
    prefix: &'static str,
    own: Vec<Field>,
) -> Object {
    let mut fields = vec![
        id(),
        Field::new("IsDeleted", "Deleted", K::Bool, M::Deleted).read_only(),
    ];
    fields.extend(own);
    fields.extend([
        created(),
        created_by(),
        Field::new(
            "LastModifiedDate",
            "Last Modified Date",
            K::DateTime,
            M::Modified,
        )
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
    Object {
        name,
        label,
        plural,
        prefix,
        fields,
        replicateable: true,
        writable: true,
        usual: 0,
    }
}

fn id() -> Field {
    Field::new("Id", "Record ID", K::Id, M::Id)
}

fn created() -> Field {
    Field::new("CreatedDate", "Created Date", K::DateTime, M::Created)
        .required()
        .read_only()
}

fn created_by() -> Field {
    lookup(
        "CreatedById",
        "Created By ID",
        &["User"],
        "CreatedBy",
        M::Parent("User", 0),
    )
    .required()
    .read_only()
}

fn owner() -> Field {
    lookup(
        "OwnerId",
        "Owner ID",
        &["User"],
        "Owner",
        M::Parent("User", 0),
    )
    .required()
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
    Field::new(
        "Description",
        "Description",
        K::Long(32_000),
        M::Prose(null),
    )
}

/// A compound address and its parts; the names are `[compound, street, city, state, postal code, country, latitude, longitude, accuracy]`.
fn address(names: [&'static str; 9]) -> [Field; 9] {
    let [
        whole,
        street,
        city,
        state,
        postal,
        country,
        latitude,
        longitude,
        accuracy,
    ] = names;
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
        text("LastName", "Last Name", 80, M::Last)
            .required()
            .part_of("Name"),
        text("FirstName", "First Name", 40, M::First).part_of("Name"),
        Field::new(
            "Salutation",
            "Salutation",
            K::Pick(SALUTATIONS),
            M::Pick(30),
        )
        .part_of("Name"),
        text("Name", "Full Name", 121, M::FullName)
            .required()
            .read_only()
            .naming(),
    ]
}

fn contact() -> Object {
    let mut fields = vec![
        lookup(
            "MasterRecordId",
            "Master Record ID",
            &["Contact"],
            "MasterRecord",
            M::Nothing,
        )
        .read_only(),
        lookup(
            "AccountId",
            "Account ID",
            &["Account"],
            "Account",
            M::Parent("Account", 6),
        ),
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
        lookup(
            "ReportsToId",
            "Reports To ID",
            &["Contact"],
            "ReportsTo",
            M::Parent("Contact", 70),
        ),
        Field::new("Email", "Email", K::Email, M::Email),
        text("Title", "Title", 128, M::Title(10)),
        text("Department", "Department", 80, M::Department(25)),
        pick("LeadSource", "Lead Source", SOURCES, 20),
        Field::new("Birthdate", "Birthdate", K::Date, M::Birthday(30)),
        description(12),
        owner(),
        flag("HasOptedOutOfEmail", "Email Opt Out", 11),
        flag("DoNotCall", "Do Not Call", 7),
        Field::new(
            "LastActivityDate",
            "Last Activity",
            K::Date,
            M::Day(-200, 0, 40),
        )
        .read_only(),
        text(
            "EmailBouncedReason",
            "Email Bounced Reason",
            255,
            M::Nothing,
        ),
        Field::new(
            "EmailBouncedDate",
            "Email Bounced Date",
            K::DateTime,
            M::Nothing,
        ),
        flag("IsEmailBounced", "Is Email Bounced", 0).read_only(),
        pick(
            "Level__c",
            "Level",
            &["Secondary", "Tertiary", "Primary"],
            35,
        ),
        Field::new(
            "Languages__c",
            "Languages",
            K::Multi(LANGUAGES),
            M::Multi(30),
        ),
        Field::new(
            "Score__c",
            "Score",
            K::Double(8, 2),
            M::Number(0, 10_000, 2, 15),
        ),
        text("External_Ref__c", "External reference", 40, M::Code("CRM")).external(),
        flag("Newsletter__c", "Newsletter", 45),
    ]);
    object("Contact", "Contact", "Contacts", "003", fields)
}

fn account() -> Object {
    let mut fields = vec![
        lookup(
            "MasterRecordId",
            "Master Record ID",
            &["Account"],
            "MasterRecord",
            M::Nothing,
        )
        .read_only(),
        text("Name", "Account Name", 255, M::Company)
            .required()
            .naming(),
        pick(
            "Type",
            "Account Type",
            &[
                "Prospect",
                "Customer - Direct",
                "Customer - Channel",
                "Channel Partner / Reseller",
                "Installation Partner",
                "Technology Partner",
                "Other",
            ],
            15,
        ),
        lookup(
            "ParentId",
            "Parent Account ID",
            &["Account"],
            "Parent",
            M::Parent("Account", 80),
        ),
    ];
    fields.extend(address([
        "BillingAddress",
        "BillingStreet",
        "BillingCity",
        "BillingState",
        "BillingPostalCode",
        "BillingCountry",
        "BillingLatitude",
        "BillingLongitude",
        "BillingGeocodeAccuracy",
    ]));
    fields.extend([
        phone("Phone", "Account Phone", 10),
        phone("Fax", "Account Fax", 60),
        text("AccountNumber", "Account Number", 40, M::Code("ACC")),
        Field::new("Website", "Website", K::Url, M::Website(20)),
        text("Sic", "SIC Code", 20, M::Digits(4, 50)),
        pick("Industry", "Industry", INDUSTRIES, 18),
        Field::new(
            "AnnualRevenue",
            "Annual Revenue",
            K::Currency(18, 0),
            M::Number(20_000, 900_000_000, 0, 30),
        ),
        Field::new(
            "NumberOfEmployees",
            "Employees",
            K::Int,
            M::Whole(1, 60_000, 25),
        ),
        pick(
            "Ownership",
            "Ownership",
            &["Public", "Private", "Subsidiary", "Other"],
            40,
        ),
        description(20),
        pick("Rating", "Account Rating", RATINGS, 35),
        text("Site", "Account Site", 80, M::Department(70)),
        owner(),
        Field::new(
            "LastActivityDate",
            "Last Activity",
            K::Date,
            M::Day(-200, 0, 40),
        )
        .read_only(),
        Field::new(
            "SLAExpirationDate__c",
            "SLA Expiration Date",
            K::Date,
            M::Day(10, 900, 40),
        ),
        pick("Active__c", "Active", &["No", "Yes"], 20),
        Field::new(
            "Discount__c",
            "Discount",
            K::Percent(5, 2),
            M::Number(0, 4_000, 2, 45),
        ),
    ]);
    object("Account", "Account", "Accounts", "001", fields)
}

fn lead() -> Object {
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
        Field::new(
            "NumberOfEmployees",
            "Employees",
            K::Int,
            M::Whole(1, 5_000, 40),
        ),
        lookup(
            "OwnerId",
            "Owner ID",
            &["Group", "User"],
            "Owner",
            M::Either("User", "Group", 0),
        )
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

fn opportunity() -> Object {
    object(
        "Opportunity",
        "Opportunity",
        "Opportunities",
        "006",
        vec![
            lookup(
                "AccountId",
                "Account ID",
                &["Account"],
                "Account",
                M::Parent("Account", 4),
            ),
            flag("IsPrivate", "Private", 3),
            text("Name", "Name", 120, M::Deal).required().naming(),
            description(35),
            pick(
                "StageName",
                "Stage",
                &[
                    "Prospecting",
                    "Qualification",
                    "Needs Analysis",
                    "Value Proposition",
                    "Id. Decision Makers",
                    "Perception Analysis",
                    "Proposal/Price Quote",
                    "Negotiation/Review",
                    "Closed Won",
                    "Closed Lost",
                ],
                0,
            )
            .required(),
            Field::new(
                "Amount",
                "Amount",
                K::Currency(18, 2),
                M::Number(50_000, 90_000_000, 2, 10),
            ),
            Field::new(
                "Probability",
                "Probability (%)",
                K::Percent(3, 0),
                M::Number(0, 101, 0, 5),
            ),
            Field::new(
                "TotalOpportunityQuantity",
                "Quantity",
                K::Double(18, 2),
                M::Number(100, 100_000, 2, 60),
            ),
            Field::new("CloseDate", "Close Date", K::Date, M::Day(-300, 200, 0)).required(),
            pick(
                "Type",
                "Opportunity Type",
                &[
                    "Existing Customer - Upgrade",
                    "Existing Customer - Replacement",
                    "Existing Customer - Downgrade",
                    "New Customer",
                ],
                20,
            ),
            text("NextStep", "Next Step", 255, M::Subject(40)),
            pick("LeadSource", "Lead Source", SOURCES, 25),
            flag("IsClosed", "Closed", 20).read_only(),
            flag("IsWon", "Won", 10).read_only(),
            owner(),
            lookup(
                "ContactId",
                "Contact ID",
                &["Contact"],
                "Contact",
                M::Parent("Contact", 30),
            ),
            Field::new(
                "LastActivityDate",
                "Last Activity",
                K::Date,
                M::Day(-100, 0, 40),
            )
            .read_only(),
            text("OrderNumber__c", "Order Number", 8, M::Digits(6, 30)),
            Field::new(
                "Competitors__c",
                "Competitors",
                K::Multi(&[
                    "Contoso",
                    "Ünïcode & Söhne",
                    "O'Neil \"Bros\"",
                    "北極星商事",
                ]),
                M::Multi(50),
            ),
        ],
    )
}

fn task() -> Object {
    object(
        "Task",
        "Task",
        "Tasks",
        "00T",
        vec![
            lookup(
                "WhoId",
                "Name ID",
                &["Contact", "Lead"],
                "Who",
                M::Either("Contact", "Lead", 15),
            ),
            lookup(
                "WhatId",
                "Related To ID",
                &["Account", "Opportunity"],
                "What",
                M::Either("Account", "Opportunity", 30),
            ),
            text("Subject", "Subject", 255, M::Subject(2)),
            Field::new(
                "ActivityDate",
                "Due Date Only",
                K::Date,
                M::Day(-150, 60, 12),
            ),
            pick(
                "Status",
                "Status",
                &[
                    "Not Started",
                    "In Progress",
                    "Completed",
                    "Waiting on someone else",
                    "Deferred",
                ],
                0,
            )
            .required(),
            pick("Priority", "Priority", &["High", "Normal", "Low"], 0).required(),
            flag("IsHighPriority", "High Priority", 15).read_only(),
            owner(),
            description(40),
            flag("IsClosed", "Closed", 40).read_only(),
            pick(
                "TaskSubtype",
                "Task Subtype",
                &["Task", "Email", "Call", "Cadence"],
                0,
            )
            .read_only(),
            flag("IsArchived", "Archived", 0).read_only(),
            Field::new(
                "CallDurationInSeconds",
                "Call Duration",
                K::Int,
                M::Whole(5, 5_400, 70),
            ),
            pick(
                "CallType",
                "Call Type",
                &["Internal", "Inbound", "Outbound"],
                70,
            ),
            flag("IsReminderSet", "Reminder Set", 25),
            Field::new(
                "ReminderDateTime",
                "Reminder Date/Time",
                K::DateTime,
                M::Moment(-100, 30, 75),
            ),
            Field::new(
                "CompletedDateTime",
                "Completed Date",
                K::DateTime,
                M::Moment(-150, 0, 60),
            )
            .read_only(),
        ],
    )
}

fn invoice() -> Object {
    object(
        "Invoice__c",
        "Invoice",
        "Invoices",
        "a0X",
        vec![
            owner(),
            text("Name", "Invoice Number", 80, M::Auto("INV-"))
                .required()
                .naming()
                .numbered(),
            lookup(
                "Account__c",
                "Account",
                &["Account"],
                "Account__r",
                M::Parent("Account", 3),
            ),
            lookup(
                "Contact__c",
                "Billing contact",
                &["Contact"],
                "Contact__r",
                M::Parent("Contact", 25),
            ),
            Field::new(
                "Amount__c",
                "Amount",
                K::Currency(16, 2),
                M::Number(500, 9_000_000, 2, 2),
            ),
            Field::new(
                "Tax_Rate__c",
                "Tax rate",
                K::Percent(5, 2),
                M::Number(0, 2_700, 2, 5),
            ),
            Field::new(
                "Quantity__c",
                "Quantity",
                K::Double(10, 3),
                M::Number(1, 900_000, 3, 5),
            ),
            Field::new("Lines__c", "Lines", K::Double(4, 0), M::Number(1, 40, 0, 0)),
            Field::new("Issued__c", "Issued", K::Date, M::Day(-400, 0, 0)),
            Field::new("Paid_At__c", "Paid at", K::DateTime, M::Moment(-380, 0, 35)),
            flag("Paid__c", "Paid", 62),
            pick(
                "Status__c",
                "Status",
                &["Draft", "Sent", "Paid", "Overdue", "Cancelled"],
                0,
            ),
            Field::new(
                "Channels__c",
                "Channels",
                K::Multi(&["E-mail", "Post", "Portal", "EDI"]),
                M::Multi(20),
            ),
            Field::new("Document__c", "Document", K::Url, M::Website(30)),
            Field::new("Contact_Email__c", "Contact e-mail", K::Email, M::Email),
            text("Customer_Ref__c", "Customer reference", 60, M::Code("REF")).external(),
            Field::new("Notes__c", "Notes", K::Long(10_000), M::Prose(45)),
        ],
    )
}

fn user() -> Object {
    let mut fields = vec![text("Username", "Username", 80, M::Username).required()];
    fields.extend(
        person()
            .into_iter()
            .filter(|field| field.name != "Salutation"),
    );
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
            &[
                "Europe/London",
                "America/Los_Angeles",
                "Asia/Tokyo",
                "Europe/Berlin",
            ],
            0,
        )
        .required(),
        pick("UserType", "User Type", &["Standard"], 0).required(),
        lookup(
            "ProfileId",
            "Profile ID",
            &["Profile"],
            "Profile",
            M::Parent("Profile", 0),
        )
        .required(),
        lookup(
            "ManagerId",
            "Manager ID",
            &["User"],
            "Manager",
            M::Parent("User", 30),
        ),
        Field::new(
            "LastLoginDate",
            "Last Login",
            K::DateTime,
            M::Moment(-30, 0, 10),
        )
        .read_only(),
    ]);
    let mut object = object("User", "User", "Users", "005", fields);
    object.fields.retain(|field| field.name != "IsDeleted");
    object.usual = 24;
    object
}

fn profile() -> Object {
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

fn group() -> Object {
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

/// Has CreatedDate but neither LastModifiedDate nor SystemModstamp.
fn account_history() -> Object {
    Object {
        name: "AccountHistory",
        label: "Account History",
        plural: "Account History",
        prefix: "017",
        fields: vec![
            id(),
            Field::new("IsDeleted", "Deleted", K::Bool, M::Deleted).read_only(),
            lookup(
                "AccountId",
                "Account ID",
                &["Account"],
                "Account",
                M::Parent("Account", 0),
            )
            .read_only(),
            created_by(),
            created(),
            pick(
                "Field",
                "Changed Field",
                &["Name", "Phone", "Industry", "Rating", "created"],
                0,
            )
            .required()
            .read_only(),
            pick("DataType", "Datatype", &["Text", "Phone", "Picklist"], 0).read_only(),
            text("OldValue", "Old Value", 255, M::Subject(40)).read_only(),
            text("NewValue", "New Value", 255, M::Subject(10)).read_only(),
        ],
        replicateable: true,
        writable: false,
        usual: 160,
    }
}

/// Has LoginTime alone.
fn login_history() -> Object {
    Object {
        name: "LoginHistory",
        label: "Login History",
        plural: "Login History",
        prefix: "0Ya",
        fields: vec![
            id(),
            lookup("UserId", "User ID", &["User"], "User", M::Parent("User", 0))
                .required()
                .read_only(),
            Field::new("LoginTime", "Login Time", K::DateTime, M::Created)
                .required()
                .read_only(),
            pick(
                "LoginType",
                "Login Type",
                &["Application", "Remote Access 2.0", "Other Apex API"],
                0,
            )
            .required()
            .read_only(),
            text("SourceIp", "Source IP", 39, M::Address4).read_only(),
            text(
                "LoginUrl",
                "Login URL",
                120,
                M::Listed(&["login.salesforce.com", "example.my.salesforce.com"]),
            )
            .read_only(),
            text(
                "Browser",
                "Browser",
                64,
                M::Listed(&[
                    "Chrome 126",
                    "Firefox 128",
                    "Java (Salesforce.com)",
                    "Unknown",
                ]),
            )
            .read_only(),
            text(
                "Platform",
                "Platform",
                64,
                M::Listed(&["Windows 11", "Mac OSX", "Linux", "Unknown"]),
            )
            .read_only(),
            text(
                "Status",
                "Status",
                128,
                M::Listed(&["Success", "Success", "Invalid Password"]),
            )
            .read_only(),
        ],
        replicateable: false,
        writable: false,
        usual: 140,
    }
}

/// An external object: no audit fields at all.
fn supplier() -> Object {
    Object {
        name: "Supplier__x",
        label: "Supplier",
        plural: "Suppliers",
        prefix: "x01",
        fields: vec![
            id(),
            text("ExternalId", "External ID", 255, M::Code("SUP"))
                .required()
                .external(),
            Field::new("DisplayUrl", "Display URL", K::Url, M::Website(0)),
            text("Name__c", "Name", 255, M::Company),
            text("City__c", "City", 80, M::City),
            Field::new(
                "Rating__c",
                "Rating",
                K::Double(3, 1),
                M::Number(0, 50, 1, 20),
            ),
            flag("Approved__c", "Approved", 70),
        ],
        replicateable: false,
        writable: false,
        usual: 60,
    }
}
