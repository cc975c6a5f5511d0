//! What every page knows of its request: the hour, the theme, where it is, and what was just done.

use std::convert::Infallible;
use std::future::{Ready, ready};

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde::Deserialize;

use crate::model::{Stamp, SyncName};
use crate::web::{Role, Shared, Viewer};

/// What a page knows of its request.
#[derive(Debug, Clone)]
pub(in crate::web) struct Ctx {
    /// The time by the local clock.
    pub now: Stamp,
    /// The host's time zone: all times are shown in it.
    pub zone: TimeZone,
    /// `light` or `dark` when the reader chose; none: as the system says.
    pub theme: Option<&'static str>,
    /// The page's path and query, to come back to.
    pub here: String,
    /// The org's login host.
    pub org: String,
    /// What is said of the last action, when a form led here.
    pub said: Option<String>,
    /// Whether the reader may start, stop and change.
    pub operates: bool,
    /// What every form must bear when the reader signed in with a password.
    pub csrf: Option<String>,
}

impl Ctx {
    /// The field that every form needs.
    pub(super) fn csrf(&self) -> Markup {
        html! { @if let Some(csrf) = &self.csrf { input type="hidden" name="csrf" value=(csrf); } }
    }
}

/// What a form did, as the address of the page that follows spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Did {
    /// A sync runs now.
    Started,
    /// A sync runs as soon as a place is free.
    Queued,
    /// A sync is paused.
    Paused,
    /// A sync runs again as scheduled.
    Resumed,
    /// What a destination did not take is sent again.
    Resent,
    /// What a destination did not take is forgotten.
    Discarded,
    /// A reader of the changes is forgotten.
    Forgotten,
}

impl Did {
    const ALL: [Self; 7] = [
        Self::Started,
        Self::Queued,
        Self::Paused,
        Self::Resumed,
        Self::Resent,
        Self::Discarded,
        Self::Forgotten,
    ];

    /// As the address spells it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Queued => "queued",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Resent => "resent",
            Self::Discarded => "discarded",
            Self::Forgotten => "forgotten",
        }
    }

    /// For a reader, of the thing `of`.
    pub(super) fn sentence(self, of: &str) -> String {
        match self {
            Self::Started => format!("{of} runs now."),
            Self::Queued => format!("{of} runs as soon as a place is free."),
            Self::Paused => format!("{of} is paused; a run in hand stops after its batch."),
            Self::Resumed => format!("{of} runs again as scheduled."),
            Self::Resent => format!("It is sent to {of} again; what is taken leaves the list."),
            Self::Discarded => format!("It is discarded; {of} will not get it."),
            Self::Forgotten => format!("{of} is forgotten; nothing is kept for it."),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Done {
    did: Option<String>,
    of: Option<String>,
}

impl FromRequestParts<Shared> for Ctx {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Infallible> {
        let query = Query::<Done>::try_from_uri(&parts.uri);
        let query = query.map(|found| found.0).unwrap_or_default();
        let did = query.did.and_then(|word| Did::ALL.into_iter().find(|did| did.word() == word));
        // Only a name may be put into the sentence: an address says nothing here in words of its own.
        let of = query.of.filter(|of| SyncName::new(of).is_ok());
        let here = parts.uri.path_and_query().map_or("/", |here| here.as_str());
        Ok(Self {
            now: shared.org.gate().now(),
            zone: TimeZone::system(),
            theme: theme_of(&parts.headers),
            here: here.to_owned(),
            org: shared.reader.config().org.login.host_str().unwrap_or_default().to_owned(),
            said: did.zip(of).map(|(did, of)| did.sentence(&of)),
            operates: parts.extensions.get::<Viewer>().is_some_and(|who| who.role == Role::Operate),
            csrf: parts.extensions.get::<Viewer>().and_then(|viewer| viewer.csrf.clone()),
        })
    }
}

fn theme_of(headers: &HeaderMap) -> Option<&'static str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|pair| match pair.trim().split_once('=')? {
        ("theme", "dark") => Some("dark"),
        ("theme", "light") => Some("light"),
        _ => None,
    })
}

#[derive(Debug, Deserialize)]
pub(super) struct Theme {
    theme: String,
    back: String,
}

/// Remembers the theme in a cookie, for browsers without the script. It changes nothing of the host, so whoever may look
/// may ask for it.
pub(super) fn theme(Query(Theme { theme, back }): Query<Theme>) -> Ready<Response> {
    let theme = if theme == "dark" { "dark" } else { "light" };
    let cookie = format!("theme={theme}; Path=/; Max-Age=31536000; SameSite=Strict");
    ready(([(header::SET_COOKIE, cookie)], see(&back)).into_response())
}

/// Sends the browser to a page of ours; anything else is the first page.
pub(super) fn see(back: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, ours(back).to_owned())]).into_response()
}

/// The address when it is a path of ours; else the first page. `//host` and `/\host` lead elsewhere, and so might anything
/// that is no plain ASCII.
pub(super) fn ours(back: &str) -> &str {
    let plain = back.bytes().all(|c| c.is_ascii_graphic());
    let inside = back.starts_with('/') && !back[1..].starts_with(['/', '\\']);
    if plain && inside { back } else { "/" }
}

/// The address `back` with what was done.
pub(super) fn after(back: &str, did: Did, of: &str) -> String {
    let back = ours(back);
    let mut pairs: Vec<&str> = Vec::new();
    let (path, query) = back.split_once('?').unwrap_or((back, ""));
    pairs.extend(
        query.split('&').filter(|pair| {
            !pair.is_empty() && !pair.starts_with("did=") && !pair.starts_with("of=")
        }),
    );
    let (did, of) = (format!("did={}", did.word()), format!("of={of}"));
    pairs.extend([did.as_str(), of.as_str()]);
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_leads_elsewhere() {
        for back in
            ["//evil.example", "/\\evil.example", "https://evil.example", "", "x", "/a\r\nb"]
        {
            assert_eq!(ours(back), "/", "{back:?}");
        }
        assert_eq!(ours("/syncs?a=b"), "/syncs?a=b");
        assert_eq!(
            after("/?sync=A&did=paused&of=A", Did::Started, "B"),
            "/?sync=A&did=started&of=B"
        );
    }
}
