//! Objects of business: accounts, opportunities, tasks and the custom object of invoices.

use super::*;

pub(super) fn account() -> Object {
    let mut fields = vec![
        lookup("MasterRecordId", "Master Record ID", &["Account"], "MasterRecord", M::Nothing)
            .read_only(),
        text("Name", "Account Name", 255, M::Company).required().naming(),
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
        lookup("ParentId", "Parent Account ID", &["Account"], "Parent", M::Parent("Account", 80)),
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
        Field::new("NumberOfEmployees", "Employees", K::Int, M::Whole(1, 60_000, 25)),
        pick("Ownership", "Ownership", &["Public", "Private", "Subsidiary", "Other"], 40),
        description(20),
        pick("Rating", "Account Rating", RATINGS, 35),
        text("Site", "Account Site", 80, M::Department(70)),
        owner(),
        Field::new("LastActivityDate", "Last Activity", K::Date, M::Day(-200, 0, 40)).read_only(),
        Field::new("SLAExpirationDate__c", "SLA Expiration Date", K::Date, M::Day(10, 900, 40)),
        pick("Active__c", "Active", &["No", "Yes"], 20),
        Field::new("Discount__c", "Discount", K::Percent(5, 2), M::Number(0, 4_000, 2, 45)),
    ]);
    object("Account", "Account", "Accounts", "001", fields)
}

pub(super) fn opportunity() -> Object {
    object(
        "Opportunity",
        "Opportunity",
        "Opportunities",
        "006",
        vec![
            lookup("AccountId", "Account ID", &["Account"], "Account", M::Parent("Account", 4)),
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
            Field::new("Probability", "Probability (%)", K::Percent(3, 0), M::Number(0, 101, 0, 5)),
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
            lookup("ContactId", "Contact ID", &["Contact"], "Contact", M::Parent("Contact", 30)),
            Field::new("LastActivityDate", "Last Activity", K::Date, M::Day(-100, 0, 40))
                .read_only(),
            text("OrderNumber__c", "Order Number", 8, M::Digits(6, 30)),
            Field::new(
                "Competitors__c",
                "Competitors",
                K::Multi(&["Contoso", "Ünïcode & Söhne", "O'Neil \"Bros\"", "北極星商事"]),
                M::Multi(50),
            ),
        ],
    )
}

pub(super) fn task() -> Object {
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
            Field::new("ActivityDate", "Due Date Only", K::Date, M::Day(-150, 60, 12)),
            pick(
                "Status",
                "Status",
                &["Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"],
                0,
            )
            .required(),
            pick("Priority", "Priority", &["High", "Normal", "Low"], 0).required(),
            flag("IsHighPriority", "High Priority", 15).read_only(),
            owner(),
            description(40),
            flag("IsClosed", "Closed", 40).read_only(),
            pick("TaskSubtype", "Task Subtype", &["Task", "Email", "Call", "Cadence"], 0)
                .read_only(),
            flag("IsArchived", "Archived", 0).read_only(),
            Field::new("CallDurationInSeconds", "Call Duration", K::Int, M::Whole(5, 5_400, 70)),
            pick("CallType", "Call Type", &["Internal", "Inbound", "Outbound"], 70),
            flag("IsReminderSet", "Reminder Set", 25),
            Field::new(
                "ReminderDateTime",
                "Reminder Date/Time",
                K::DateTime,
                M::Moment(-100, 30, 75),
            ),
            Field::new("CompletedDateTime", "Completed Date", K::DateTime, M::Moment(-150, 0, 60))
                .read_only(),
        ],
    )
}

pub(super) fn invoice() -> Object {
    object(
        "Invoice__c",
        "Invoice",
        "Invoices",
        "a0X",
        vec![
            owner(),
            text("Name", "Invoice Number", 80, M::Auto("INV-")).required().naming().numbered(),
            lookup("Account__c", "Account", &["Account"], "Account__r", M::Parent("Account", 3)),
            lookup(
                "Contact__c",
                "Billing contact",
                &["Contact"],
                "Contact__r",
                M::Parent("Contact", 25),
            ),
            Field::new("Amount__c", "Amount", K::Currency(16, 2), M::Number(500, 9_000_000, 2, 2)),
            Field::new("Tax_Rate__c", "Tax rate", K::Percent(5, 2), M::Number(0, 2_700, 2, 5)),
            Field::new("Quantity__c", "Quantity", K::Double(10, 3), M::Number(1, 900_000, 3, 5)),
            Field::new("Lines__c", "Lines", K::Double(4, 0), M::Number(1, 40, 0, 0)),
            Field::new("Issued__c", "Issued", K::Date, M::Day(-400, 0, 0)),
            Field::new("Paid_At__c", "Paid at", K::DateTime, M::Moment(-380, 0, 35)),
            flag("Paid__c", "Paid", 62),
            pick("Status__c", "Status", &["Draft", "Sent", "Paid", "Overdue", "Cancelled"], 0),
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
