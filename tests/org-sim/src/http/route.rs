//! What a path asks for.

use crate::faults::RequestClass;

/// The first version that is still served, and the newest.
const VERSIONS: std::ops::RangeInclusive<u16> = 31..=67;
/// Versions that once were.
const RETIRED: std::ops::Range<u16> = 7..31;

/// A path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// As it is written in the path: `v62.0`.
    pub(crate) version: String,
    pub(crate) route: Route,
}

/// What lies behind a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Versions,
    Resources,
    Limits,
    RecordCount,
    Sobjects,
    Describe(String),
    Deleted(String),
    Updated(String),
    Query { all: bool },
    More(String),
    Composite,
    UnknownData,
    RetiredVersion,
    Authorize,
    Token,
    Revoke,
    Introspect,
    Userinfo,
    Identity { org: String, user: String },
    Discovery,
    Unknown,
}

impl Target {
    pub(crate) fn of(path: &str) -> Target {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut version = String::new();
        let route = match parts.as_slice() {
            ["services", "data"] => Route::Versions,
            ["services", "data", wanted, rest @ ..] => {
                version = (*wanted).to_owned();
                match version_number(wanted) {
                    Some(number) if VERSIONS.contains(&number) => data(rest),
                    Some(number) if RETIRED.contains(&number) => Route::RetiredVersion,
                    _ => Route::UnknownData,
                }
            }
            ["services", "oauth2", "authorize"] => Route::Authorize,
            ["services", "oauth2", "token"] => Route::Token,
            ["services", "oauth2", "revoke"] => Route::Revoke,
            ["services", "oauth2", "introspect"] => Route::Introspect,
            ["services", "oauth2", "userinfo"] => Route::Userinfo,
            ["id", org, user] => {
                Route::Identity { org: (*org).to_owned(), user: (*user).to_owned() }
            }
            [".well-known", "openid-configuration"] => Route::Discovery,
            _ => Route::Unknown,
        };
        Target { version, route }
    }

    pub(crate) fn class(&self) -> RequestClass {
        match self.route {
            Route::Versions => RequestClass::Versions,
            Route::Limits | Route::RecordCount => RequestClass::Limits,
            Route::Sobjects | Route::Describe(_) => RequestClass::Describe,
            Route::Deleted(_) | Route::Updated(_) => RequestClass::Replication,
            Route::Query { .. } => RequestClass::Query,
            Route::More(_) => RequestClass::QueryMore,
            Route::Composite => RequestClass::Composite,
            Route::Token => RequestClass::Token,
            _ => RequestClass::Other,
        }
    }
}

fn data(rest: &[&str]) -> Route {
    match rest {
        [] => Route::Resources,
        ["limits"] => Route::Limits,
        ["limits", "recordCount"] => Route::RecordCount,
        ["sobjects"] => Route::Sobjects,
        ["sobjects", object, "describe"] => Route::Describe((*object).to_owned()),
        ["sobjects", object, "deleted"] => Route::Deleted((*object).to_owned()),
        ["sobjects", object, "updated"] => Route::Updated((*object).to_owned()),
        ["query"] => Route::Query { all: false },
        ["queryAll"] => Route::Query { all: true },
        ["query" | "queryAll", locator] => Route::More((*locator).to_owned()),
        ["composite"] => Route::Composite,
        _ => Route::UnknownData,
    }
}

fn version_number(text: &str) -> Option<u16> {
    text.strip_prefix('v')?.strip_suffix(".0")?.parse().ok()
}

/// The versions served, with Salesforce's names: three a year, 53 is Winter '22.
pub(crate) fn versions() -> impl Iterator<Item = (String, String)> {
    VERSIONS.map(|number| {
        let since = number + 4; // so that Winter is 0 of three; 57 / 3 is 19 for '22
        let season = ["Winter", "Spring", "Summer"][usize::from(since % 3)];
        (format!("{number}.0"), format!("{season} '{}", since / 3 + 3))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_carry_their_seasons() {
        let all: Vec<_> = versions().collect();
        let label = |version: &str| {
            all.iter().find(|(number, _)| number == version).map(|(_, label)| label.as_str())
        };
        assert_eq!(label("53.0"), Some("Winter '22"));
        assert_eq!(label("31.0"), Some("Summer '14"));
        assert_eq!(label("60.0"), Some("Spring '24"));
        assert_eq!(label("67.0"), Some("Summer '26"));
    }

    #[test]
    fn paths_are_read_with_and_without_slashes_at_the_end() {
        assert_eq!(Target::of("/services/data/v62.0/query/").route, Route::Query { all: false });
        assert_eq!(Target::of("/services/data/v62.0/queryAll").route, Route::Query { all: true });
        assert_eq!(
            Target::of("/services/data/v62.0/queryAll/0r8x-2000").route,
            Route::More("0r8x-2000".into())
        );
        assert_eq!(Target::of("/services/data/v20.0/query").route, Route::RetiredVersion);
        assert_eq!(Target::of("/services/data/v99.0/query").route, Route::UnknownData);
        assert_eq!(Target::of("/services/data/62.0/query").route, Route::UnknownData);
        assert_eq!(Target::of("/services/data/").route, Route::Versions);
        assert_eq!(Target::of("/nowhere").route, Route::Unknown);
    }
}
