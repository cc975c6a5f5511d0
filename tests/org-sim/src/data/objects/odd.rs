//! Objects without the usual audit fields, for clients that take them for granted.

use super::*;

/// Has CreatedDate but neither LastModifiedDate nor SystemModstamp.
pub(super) fn account_history() -> Object {
    Object {
        name: "AccountHistory",
        label: "Account History",
        plural: "Account History",
        prefix: "017",
        fields: vec![
            id(),
            Field::new("IsDeleted", "Deleted", K::Bool, M::Deleted).read_only(),
            lookup("AccountId", "Account ID", &["Account"], "Account", M::Parent("Account", 0))
                .read_only(),
            created_by(),
            created(),
            pick("Field", "Changed Field", &["Name", "Phone", "Industry", "Rating", "created"], 0)
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
pub(super) fn login_history() -> Object {
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
            Field::new("LoginTime", "Login Time", K::DateTime, M::Created).required().read_only(),
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
                M::Listed(&["Chrome 126", "Firefox 128", "Java (Salesforce.com)", "Unknown"]),
            )
            .read_only(),
            text(
                "Platform",
                "Platform",
                64,
                M::Listed(&["Windows 11", "Mac OSX", "Linux", "Unknown"]),
            )
            .read_only(),
            text("Status", "Status", 128, M::Listed(&["Success", "Success", "Invalid Password"]))
                .read_only(),
        ],
        replicateable: false,
        writable: false,
        usual: 140,
    }
}

/// Salesforce's list of approvals. Its Id is reserved: always null.
pub(super) fn oauth_token() -> Object {
    Object {
        name: "OauthToken",
        label: "OAuth Token",
        plural: "OAuth Tokens",
        prefix: "0CQ",
        fields: vec![
            Field::new("Id", "OAuth Token ID", K::Id, M::Nothing),
            text("AccessToken", "Access Token", 255, M::Nothing).read_only(),
            text("AppName", "Application Name", 255, M::Nothing).read_only(),
            created(),
            text("DeleteToken", "Delete Token", 255, M::Nothing).read_only(),
            Field::new("LastUsedDate", "Last Used Date", K::DateTime, M::Nothing).read_only(),
            text("RequestToken", "Request Token", 255, M::Nothing).read_only(),
            Field::new("UseCount", "Use Count", K::Int, M::Nothing).read_only(),
            lookup("UserId", "User ID", &["User"], "User", M::Nothing).read_only(),
        ],
        replicateable: false,
        writable: false,
        usual: 0,
    }
}

/// An external object: no audit fields at all.
pub(super) fn supplier() -> Object {
    Object {
        name: "Supplier__x",
        label: "Supplier",
        plural: "Suppliers",
        prefix: "x01",
        fields: vec![
            id(),
            text("ExternalId", "External ID", 255, M::Code("SUP")).required().external(),
            Field::new("DisplayUrl", "Display URL", K::Url, M::Website(0)),
            text("Name__c", "Name", 255, M::Company),
            text("City__c", "City", 80, M::City),
            Field::new("Rating__c", "Rating", K::Double(3, 1), M::Number(0, 50, 1, 20)),
            flag("Approved__c", "Approved", 70),
        ],
        replicateable: false,
        writable: false,
        usual: 60,
    }
}
