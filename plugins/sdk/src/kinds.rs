//! What mappings to events, objects and relationships have in common.

use crate::{Id, Output};

/// The kind that the stock mappings make of the record with this id: `person`, `event` or `object`.
pub fn kind_of(id: Id<'_>) -> &'static str {
    match id.prefix() {
        "003" | "005" | "00Q" => "person",
        "00T" | "00U" => "event",
        _ => "object",
    }
}

/// The key of an event that a record is, such as `task:00T...`: the same record is the same event, however often it is read.
pub fn event_key(what: &str, id: Id<'_>) -> String {
    format!("{what}:{id}")
}

/// A relationship between the outputs of two records, known by both and its name.
#[derive(Debug, Output)]
#[kind("relationship")]
pub struct Relationship<'a> {
    #[key]
    key: String,
    relation: &'a str,
    from_kind: &'static str,
    from_key: Id<'a>,
    to_kind: &'static str,
    to_key: Id<'a>,
}

impl<'a> Relationship<'a> {
    /// `from` has `to` as its `relation`: an opportunity has an account as its `account`.
    pub fn new(from: Id<'a>, relation: &'a str, to: Id<'a>) -> Self {
        Self {
            key: format!("{from}:{relation}:{to}"),
            relation,
            from_kind: kind_of(from),
            from_key: from,
            to_kind: kind_of(to),
            to_key: to,
        }
    }

    /// The same, where the outputs are of other kinds than the stock mappings would make.
    #[must_use]
    pub fn of_kinds(mut self, from: &'static str, to: &'static str) -> Self {
        (self.from_kind, self.to_kind) = (from, to);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_kinds_by_ids() {
        for (id, kind) in [
            ("003D000000QYVl5IAH", "person"),
            ("001D000000IRFmaIAH", "object"),
            ("00T000000000001", "event"),
        ] {
            assert_eq!(kind_of(Id::parse(id).unwrap()), kind);
        }
        let (contact, account) = ("003D000000QYVl5IAH", "001D000000IRFmaIAH");
        let (contact, account) = (Id::parse(contact).unwrap(), Id::parse(account).unwrap());
        let link = Relationship::new(contact, "account", account);
        assert_eq!(link.key(), "003D000000QYVl5IAH:account:001D000000IRFmaIAH");
        assert_eq!((link.from_kind, link.to_kind), ("person", "object"));
        assert_eq!(link.of_kinds("member", "group").to_kind, "group");
        assert_eq!(event_key("visit", contact), "visit:003D000000QYVl5IAH");
    }
}
