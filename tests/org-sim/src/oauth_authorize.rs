//! The authorise endpoint: the consent page, and the redirect back with a code or an error.

use axum::http::{Method, StatusCode};
use url::{Host, Url};

use crate::http::answer::Answer;
use crate::http::{Ask, find};
use crate::oauth::AuthorizeRequest;
use crate::state::State;
use crate::sync::lock;

/// Scopes that a connected app can ask for.
const SCOPES: [&str; 11] = [
    "api",
    "refresh_token",
    "offline_access",
    "id",
    "openid",
    "profile",
    "email",
    "address",
    "phone",
    "web",
    "full",
];

pub(crate) fn answer(state: &State, ask: &Ask) -> Answer {
    match ask.method {
        Method::GET | Method::HEAD => begin(state, ask),
        Method::POST => decide(state, &ask.form()),
        _ => Answer::empty(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Checks the request and shows the consent page, or grants at once.
fn begin(state: &State, ask: &Ask) -> Answer {
    let config = &state.config;
    if ask.param("client_id") != Some(config.client_id.as_str()) {
        return error_page("invalid_client_id", "client identifier invalid");
    }
    let Some(redirect_uri) = ask.param("redirect_uri").filter(|uri| is_loopback(uri)) else {
        return error_page("redirect_uri_mismatch", "redirect_uri must match configuration");
    };
    let scope =
        ask.param("scope").filter(|scope| !scope.trim().is_empty()).unwrap_or("api refresh_token");
    let mut request = AuthorizeRequest {
        started: None,
        redirect_uri: redirect_uri.to_owned(),
        scope: scope.split_whitespace().collect::<Vec<_>>().join(" "),
        state: ask.param("state").map(str::to_owned),
        challenge: ask.param("code_challenge").filter(|text| !text.is_empty()).map(str::to_owned),
    };
    if ask.param("response_type") != Some("code") {
        return back(
            &request,
            &[
                ("error", "unsupported_response_type"),
                ("error_description", "response type must be code"),
            ],
        );
    }
    if !request.scope.split(' ').all(|scope| SCOPES.contains(&scope)) {
        return back(
            &request,
            &[
                ("error", "invalid_scope"),
                ("error_description", "the requested scope is not allowed"),
            ],
        );
    }
    if config.require_pkce && request.challenge.is_none() {
        return back(
            &request,
            &[
                ("error", "invalid_request"),
                ("error_description", "missing required code challenge"),
            ],
        );
    }
    let hint =
        ask.param("login_hint").filter(|hint| config.knows_user(hint)).unwrap_or(&config.username);
    if config.count_started {
        request.started = Some(lock(&state.auth).start(hint, &request.scope, state.now()));
    }
    if config.auto_approve {
        return allow(state, request, hint);
    }
    consent_page(state, request, hint)
}

/// The user has pressed a button on the consent page.
fn decide(state: &State, form: &[(String, String)]) -> Answer {
    let request = find(form, "request").and_then(|name| lock(&state.auth).close_request(name));
    let Some(request) = request else {
        return error_page("invalid_request", "this page was answered before or is too old");
    };
    let user = find(form, "user").unwrap_or(&state.config.username);
    match find(form, "decision") {
        Some("allow") if state.config.knows_user(user) => allow(state, request, user),
        Some("allow") => error_page("invalid_grant", "user identity is unknown"),
        _ => back(
            &request,
            &[("error", "access_denied"), ("error_description", "end-user denied authorization")],
        ),
    }
}

fn allow(state: &State, request: AuthorizeRequest, user: &str) -> Answer {
    let code = lock(&state.auth).make_code(request.clone(), user, state.now());
    back(&request, &[("code", &code)])
}

/// Sends the browser back to the app with these parameters and the app's own state.
fn back(request: &AuthorizeRequest, params: &[(&str, &str)]) -> Answer {
    let Ok(mut url) = Url::parse(&request.redirect_uri) else {
        return error_page("redirect_uri_mismatch", "redirect_uri must match configuration");
    };
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(params);
        if let Some(state) = &request.state {
            query.append_pair("state", state);
        }
    }
    Answer::redirect(url.as_str())
}

/// The registered callback: any port and path on this machine.
fn is_loopback(uri: &str) -> bool {
    let Ok(url) = Url::parse(uri) else {
        return false;
    };
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    here && url.scheme() == "http" && url.fragment().is_none()
}

fn error_page(error: &str, description: &str) -> Answer {
    Answer::html(
        StatusCode::BAD_REQUEST,
        format!(
            "<!doctype html><html><head><title>Authorization error</title></head><body><h1>We can't authorize you</h1>\
             <p>error={error}&amp;error_description={}</p></body></html>",
            escape(description)
        ),
    )
}

fn consent_page(state: &State, request: AuthorizeRequest, hint: &str) -> Answer {
    let scopes: String =
        request.scope.split(' ').map(|scope| format!("<li>{}</li>", escape(scope))).collect();
    let mut auth = lock(&state.auth);
    let warning = match auth
        .next_evicted(hint)
        .and_then(|id| auth.approvals().iter().find(|a| a.id == id))
    {
        Some(approval) => format!(
            "<p>You have approved this app {} times already. Allowing it again ends the approval of {}.</p>",
            state.config.max_approvals, approval.made
        ),
        None => String::new(),
    };
    let name = auth.open_request(request);
    let users: String = state
        .config
        .usernames()
        .map(|user| {
            let selected = if user == hint { " selected" } else { "" };
            format!("<option{selected}>{}</option>", escape(user))
        })
        .collect();
    Answer::html(
        StatusCode::OK,
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Allow access?</title>\
             <style>body{{font:16px system-ui;max-width:30em;margin:4em auto}}button{{font:inherit;padding:.4em 1.2em}}</style>\
             </head><body><h1>Allow access?</h1><p>kilofold is asking to:</p><ul>{scopes}</ul>{warning}\
             <form method=\"post\" action=\"/services/oauth2/authorize\">\
             <input type=\"hidden\" name=\"request\" value=\"{name}\">\
             <p><label>User <select name=\"user\">{users}</select></label></p>\
             <button name=\"decision\" value=\"deny\">Deny</button> <button name=\"decision\" value=\"allow\">Allow</button>\
             </form></body></html>"
        ),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_registered_callback() {
        for good in ["http://127.0.0.1:9/cb", "http://localhost/", "http://[::1]:80/x?y=1"] {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "https://127.0.0.1/cb",
            "http://example.com/",
            "http://localhost.example.com/",
            "nonsense",
            "http://127.0.0.1/#f",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
