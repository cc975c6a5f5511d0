//! Salesforce's spelling of Rust names.

/// Endings that belong to the name before them rather than to a relationship.
const SUFFIXES: [&str; 8] = ["c", "r", "s", "pc", "pr", "e", "x", "mdt"];

/// `first_name` is `FirstName`, `account__name` is `Account.Name`, `score__c` is `Score__c`, `region__r__name` is
/// `Region__r.Name`, `place__latitude__s` is `Place__Latitude__s`.
pub(crate) fn salesforce(rust: &str) -> String {
    let rust = rust.strip_prefix("r#").unwrap_or(rust);
    let parts: Vec<&str> = rust.split("__").collect();
    let mut name = String::new();
    for (at, part) in parts.iter().enumerate() {
        let suffix = at > 0 && SUFFIXES.contains(part);
        let coordinate =
            matches!(*part, "latitude" | "longitude") && parts.get(at + 1) == Some(&"s");
        if suffix || at > 0 && coordinate {
            name.push_str("__");
        } else if at > 0 {
            name.push('.');
        }
        if suffix {
            name.push_str(part);
        } else {
            part.split('_').for_each(|word| capital(word, &mut name));
        }
    }
    name
}

/// `api_key` is `Api key`.
pub(crate) fn title(rust: &str) -> String {
    let mut title = String::new();
    capital(&rust.strip_prefix("r#").unwrap_or(rust).replace('_', " "), &mut title);
    title
}

fn capital(word: &str, out: &mut String) {
    let mut letters = word.chars();
    out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
    out.push_str(letters.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_as_salesforce_does() {
        for (rust, name) in [
            ("id", "Id"),
            ("first_name", "FirstName"),
            ("r#type", "Type"),
            ("system_modstamp", "SystemModstamp"),
            ("has_opted_out_of_email", "HasOptedOutOfEmail"),
            ("account__name", "Account.Name"),
            ("account__owner__name", "Account.Owner.Name"),
            ("score__c", "Score__c"),
            ("annual_spend__c", "AnnualSpend__c"),
            ("region__r__name", "Region__r.Name"),
            ("region__r__code__c", "Region__r.Code__c"),
            ("place__latitude__s", "Place__Latitude__s"),
            ("nick__pc", "Nick__pc"),
        ] {
            assert_eq!(salesforce(rust), name);
        }
        assert_eq!(title("api_key"), "Api key");
    }
}
