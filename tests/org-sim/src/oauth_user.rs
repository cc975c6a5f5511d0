//! Who a token stands for: userinfo, the identity URL, introspection, revocation and discovery.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::answer::Answer;
use crate::http::{Ask, find};
use crate::oauth::Session;
use crate::oauth_token::{Refused, client};
use crate::state::State;
use crate::sync::{lock, read};

/// A user's identity URL: the `id` member of token answers.
pub(crate) fn identity_url(state: &State, user: &str) -> String {
    format!("{}/id/{}/{}", state.url(), state.org_of(user), read(&state.org).user_id(user))
}

/// The session of the token in the header or parameter, or the plain-text 403 of these endpoints.
fn session(state: &State, ask: &Ask) -> Result<Session, Box<Answer>> {
    let form = ask.form();
    let token = ask
        .access_token()
        .or_else(|| ask.param("oauth_token"))
        .or_else(|| ask.param("access_token"))
        .or_else(|| find(&form, "access_token"))
        .ok_or_else(|| Box::new(Answer::text(StatusCode::FORBIDDEN, "Missing_OAuth_Token")))?;
    lock(&state.auth)
        .session(token, state.now())
        .cloned()
        .ok_or_else(|| Box::new(Answer::text(StatusCode::FORBIDDEN, "Bad_OAuth_Token")))
}

fn urls(state: &State, user_id: &str) -> Value {
    let base = state.url();
    let rest = format!("{base}/services/data/v{{version}}/");
    json!({
        "enterprise": format!("{base}/services/Soap/c/{{version}}/{}", state.org_id),
        "metadata": format!("{base}/services/Soap/m/{{version}}/{}", state.org_id),
        "partner": format!("{base}/services/Soap/u/{{version}}/{}", state.org_id),
        "rest": rest,
        "sobjects": format!("{rest}sobjects/"),
        "search": format!("{rest}search/"),
        "query": format!("{rest}query/"),
        "recent": format!("{rest}recent/"),
        "tooling_soap": format!("{base}/services/Soap/T/{{version}}/{}", state.org_id),
        "tooling_rest": format!("{rest}tooling/"),
        "profile": format!("{base}/{user_id}"),
        "feeds": format!("{rest}chatter/feeds"),
        "custom_domain": base,
    })
}

/// First and last name, made from the user name's part before the at sign.
fn names(user: &str) -> (String, String) {
    let local = user.split('@').next().unwrap_or_default();
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    let mut words = local.split(['.', '_', '-']).filter(|word| !word.is_empty()).map(capital);
    let first = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    (first, if rest.is_empty() { "User".to_owned() } else { rest.join(" ") })
}

pub(crate) fn userinfo(state: &State, ask: &Ask) -> Answer {
    let session = match session(state, ask) {
        Ok(session) => session,
        Err(answer) => return *answer,
    };
    let user = &session.user;
    let user_id = read(&state.org).user_id(user);
    let (first, last) = names(user);
    let photo = format!("{}/profilephoto/005/F", state.url());
    let mut answer = Answer::ok(&json!({
        "sub": identity_url(state, user),
        "user_id": user_id,
        "organization_id": state.org_of(user),
        "preferred_username": user,
        "nickname": user.split('@').next(),
        "name": format!("{first} {last}"),
        "email": user,
        "email_verified": true,
        "given_name": first,
        "family_name": last,
        "zoneinfo": "Europe/London",
        "photos": {"picture": photo, "thumbnail": format!("{}/profilephoto/005/T", state.url())},
        "profile": format!("{}/{user_id}", state.url()),
        "picture": photo,
        "address": {"country": "GB"},
        "is_salesforce_integration_user": true,
        "urls": urls(state, &user_id),
        "active": true,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_GB",
        "utcOffset": 0,
        "updated_at": "2026-01-05T09:00:00Z",
    }));
    answer.facts.user = Some(session.user);
    answer
}

pub(crate) fn identity(state: &State, ask: &Ask, org: &str, user: &str) -> Answer {
    let session = match session(state, ask) {
        Ok(session) => session,
        Err(answer) => return *answer,
    };
    if org != state.org_of(&session.user) {
        return Answer::text(StatusCode::FORBIDDEN, "Wrong_Org");
    }
    let user_id = read(&state.org).user_id(&session.user);
    if user != user_id {
        return Answer::text(StatusCode::FORBIDDEN, "Bad_Id");
    }
    let (first, last) = names(&session.user);
    let base = state.url();
    let mut answer = Answer::ok(&json!({
        "id": identity_url(state, &session.user),
        "asserted_user": true,
        "user_id": user_id,
        "organization_id": state.org_id,
        "username": session.user,
        "nick_name": session.user.split('@').next(),
        "display_name": format!("{first} {last}"),
        "email": session.user,
        "email_verified": true,
        "first_name": first,
        "last_name": last,
        "timezone": "Europe/London",
        "photos": {"picture": format!("{base}/profilephoto/005/F"), "thumbnail": format!("{base}/profilephoto/005/T")},
        "addr_street": null,
        "addr_city": null,
        "addr_state": null,
        "addr_country": "GB",
        "addr_zip": null,
        "mobile_phone": null,
        "mobile_phone_verified": false,
        "is_lightning_login_user": false,
        "status": {"created_date": null, "body": null},
        "urls": urls(state, &user_id),
        "active": true,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_GB",
        "utcOffset": 0,
        "last_modified_date": "2026-01-05T09:00:00Z",
        "is_app_installed": true,
    }));
    answer.facts.user = Some(session.user);
    answer
}

pub(crate) fn introspect(state: &State, ask: &Ask) -> Answer {
    let form = ask.form();
    if ask.method != Method::POST {
        return Refused("invalid_request", "must use HTTP POST").into();
    }
    if let Err(refused) = client(state, ask, &form, true) {
        return refused.into();
    }
    let token = find(&form, "token").unwrap_or_default();
    let auth = lock(&state.auth);
    let about = |scope: &str, user: &str, kind: &str| {
        json!({
            "active": true,
            "scope": scope,
            "client_id": state.config.client_id,
            "username": user,
            "sub": identity_url(state, user),
            "token_type": kind,
        })
    };
    if let Some(session) = auth.session(token, state.now()) {
        let mut body = about(&session.scope, &session.user, "access_token");
        body["exp"] = session.expires.as_second().into();
        body["iat"] = session.issued.as_second().into();
        body["nbf"] = session.issued.as_second().into();
        return Answer::ok(&body);
    }
    match auth.approval_of(token) {
        Some(approval) => {
            let mut body = about(&approval.scope, &approval.user, "refresh_token");
            body["iat"] = approval.made.as_second().into();
            Answer::ok(&body)
        }
        None => Answer::ok(&json!({"active": false})),
    }
}

pub(crate) fn revoke(state: &State, ask: &Ask) -> Answer {
    let form = ask.form();
    let Some(token) = find(&form, "token").or_else(|| ask.param("token")) else {
        return Refused("invalid_request", "missing required parameter: token").into();
    };
    if lock(&state.auth).revoke(token) {
        return Answer::empty(StatusCode::OK);
    }
    Refused("invalid_token", "invalid token").into()
}

pub(crate) fn discovery(state: &State) -> Answer {
    let base = state.url();
    let oauth = |name: &str| format!("{base}/services/oauth2/{name}");
    Answer::ok(&json!({
        "issuer": base,
        "authorization_endpoint": oauth("authorize"),
        "token_endpoint": oauth("token"),
        "revocation_endpoint": oauth("revoke"),
        "userinfo_endpoint": oauth("userinfo"),
        "introspection_endpoint": oauth("introspect"),
        "scopes_supported": ["api", "refresh_token", "offline_access", "id", "openid", "profile", "email", "address", "phone", "web", "full"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
    }))
}
