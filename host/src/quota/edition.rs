//! How many calls a day an org is entitled to, by its edition and licences. Pure.

/// The edition of an org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Developer Edition, and trial and scratch orgs, which count like it.
    Developer,
    /// Professional Edition with API access.
    Professional,
    /// Enterprise Edition.
    Enterprise,
    /// Unlimited Edition.
    Unlimited,
    /// Performance Edition.
    Performance,
    /// A full sandbox.
    FullSandbox,
}

impl Edition {
    /// Every edition, by the name that the configuration uses.
    pub const ALL: [(&'static str, Self); 6] = [
        ("developer", Self::Developer),
        ("professional", Self::Professional),
        ("enterprise", Self::Enterprise),
        ("unlimited", Self::Unlimited),
        ("performance", Self::Performance),
        ("full-sandbox", Self::FullSandbox),
    ];
}

/// Calls a day that one licence adds: by name, in Enterprise and Professional, and in Unlimited and Performance.
const LICENCES: [(&str, u64, u64); 14] = [
    ("salesforce", 1_000, 5_000),
    ("platform", 1_000, 5_000),
    ("platform-plus", 1_000, 5_000),
    ("platform-starter", 200, 200),
    ("one-app", 200, 200),
    ("customer-community", 0, 0),
    ("customer-community-login", 0, 0),
    ("customer-community-plus", 200, 200),
    ("customer-community-plus-login", 10, 10),
    ("partner-community", 200, 200),
    ("partner-community-login", 10, 10),
    ("external-identity-25k", 70_000, 70_000),
    ("external-identity-250k", 750_000, 750_000),
    ("external-identity-1m", 4_000_000, 4_000_000),
];

/// Names of licences, as the configuration uses them.
pub fn licences() -> impl Iterator<Item = &'static str> {
    LICENCES.iter().map(|(name, ..)| *name)
}

/// Calls in 24 hours of an org of this edition with so many licences by name and so many calls bought besides. Unknown
/// names add nothing.
pub fn entitlement<'a>(
    edition: Edition,
    licences: impl IntoIterator<Item = (&'a str, u64)>,
    bought: u64,
) -> u64 {
    let rich = match edition {
        Edition::Developer => return bought.saturating_add(15_000),
        Edition::FullSandbox => return bought.saturating_add(5_000_000),
        Edition::Professional | Edition::Enterprise => false,
        Edition::Unlimited | Edition::Performance => true,
    };
    let of = |name: &str| {
        let found = LICENCES.iter().find(|(known, ..)| *known == name);
        found.map_or(0, |(_, plain, more)| if rich { *more } else { *plain })
    };
    let added = licences.into_iter().map(|(name, count)| of(name).saturating_mul(count));
    added.fold(bought.saturating_add(100_000), u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_salesforce_does() {
        let of = |edition, licences: &[(&'static str, u64)]| {
            entitlement(edition, licences.iter().copied(), 0)
        };
        assert_eq!(of(Edition::Developer, &[("salesforce", 5)]), 15_000);
        assert_eq!(of(Edition::FullSandbox, &[]), 5_000_000);
        assert_eq!(of(Edition::Enterprise, &[("salesforce", 50)]), 150_000);
        assert_eq!(of(Edition::Professional, &[("platform", 1), ("one-app", 10)]), 103_000);
        assert_eq!(
            of(Edition::Unlimited, &[("salesforce", 50), ("partner-community", 3)]),
            350_600
        );
        assert_eq!(of(Edition::Performance, &[("customer-community", 1_000_000)]), 100_000);
        assert_eq!(entitlement(Edition::Enterprise, [("external-identity-1m", 1)], 500), 4_100_500);
        assert_eq!(of(Edition::Enterprise, &[("salesforce", u64::MAX)]), u64::MAX);
    }
}
