//! The token endpoint: the four grants, client authentication and the error table.

use std::sync::atomic::Ordering;

use axum::http::{Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::faults::FaultKind;
use crate::http::answer::Answer;
use crate::http::{Ask, find};
use crate::oauth::{Granted, RefreshRefusal, Session};
use crate::oauth_user::identity_url;
use crate::state::State;
use crate::sync::lock;

const JWT_GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How far the two clocks of an assertion may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(3);

type Form = Vec<(String, String)>;

/// An error of section 5.2 of RFC 6749, with Salesforce's texts.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) &'static str, pub(crate) &'static str);

const EXPIRED_TOKEN: Refused = Refused("invalid_grant", "expired access/refresh token");

impl From<Refused> for Answer {
    fn from(Refused(error, description): Refused) -> Self {
        let body = serde_json::json!({"error": error, "error_description": description});
        never_cached(Answer::json(StatusCode::BAD_REQUEST, &body))
    }
}

pub(crate) fn answer(state: &State, ask: &Ask, hits: &[FaultKind]) -> Answer {
    if ask.method != Method::POST {
        return Refused("invalid_request", "must use HTTP POST").into();
    }
    let form = ask.form();
    let granted = grant(state, ask, &form, hits);
    let user = granted.as_ref().ok().map(|(granted, _)| granted.session.user.clone());
    let mut answer = match granted {
        Ok((granted, with_scope_first)) => {
            state.granted.fetch_add(1, Ordering::SeqCst);
            never_cached(Answer::ok(&success(state, &granted, with_scope_first)))
        }
        Err(refused) => refused.into(),
    };
    answer.facts.grant = find(&form, "grant_type").map(str::to_owned);
    answer.facts.user = user;
    answer
}

/// The tokens, and whether the grant is the code grant, whose answer names the refresh token.
fn grant(
    state: &State,
    ask: &Ask,
    form: &Form,
    hits: &[FaultKind],
) -> Result<(Granted, bool), Refused> {
    let now = state.now();
    let direct = |session: Session| Granted { session, refresh_token: None };
    match find(form, "grant_type") {
        Some("authorization_code") => {
            client(state, ask, form, state.config.require_secret)?;
            Ok((by_code(state, form)?, true))
        }
        Some("refresh_token") => {
            client(state, ask, form, state.config.require_secret)?;
            Ok((by_refresh_token(state, form, hits)?, true))
        }
        Some("client_credentials") => {
            client(state, ask, form, true)?;
            let session = lock(&state.auth).grant_direct(&state.config.username, "api id", now);
            Ok((direct(session), false))
        }
        Some(JWT_GRANT) => {
            let user = by_assertion(state, find(form, "assertion").unwrap_or_default())?;
            Ok((direct(lock(&state.auth).grant_direct(&user, "api id", now)), false))
        }
        Some(_) => Err(Refused("unsupported_grant_type", "grant type not supported")),
        None => Err(Refused("invalid_request", "missing required parameter: grant_type")),
    }
}

/// Checks the consumer key and, if there is one or it is wanted, the secret: from the body or as Basic.
pub(crate) fn client(
    state: &State,
    ask: &Ask,
    form: &Form,
    secret_wanted: bool,
) -> Result<(), Refused> {
    let basic = ask.header("authorization").and_then(basic_pair);
    let (id, secret) = match &basic {
        Some((id, secret)) => (Some(id.as_str()), Some(secret.as_str())),
        None => (find(form, "client_id"), find(form, "client_secret")),
    };
    if id != Some(state.config.client_id.as_str()) {
        return Err(Refused("invalid_client_id", "client identifier invalid"));
    }
    match secret.filter(|secret| !secret.is_empty()) {
        Some(secret) if secret == lock(&state.secret).as_str() => Ok(()),
        None if !secret_wanted => Ok(()),
        _ => Err(Refused("invalid_client", "invalid client credentials")),
    }
}

/// The id and secret of Basic authentication, which are form-encoded before they are joined (RFC 6749, 2.3.1).
fn basic_pair(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        url::form_urlencoded::parse(format!("x={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

fn by_code(state: &State, form: &Form) -> Result<Granted, Refused> {
    let now = state.now();
    let mut auth = lock(&state.auth);
    let (request, user) = auth
        .take_code(find(form, "code").unwrap_or_default(), now)
        .ok_or(Refused("invalid_grant", "expired authorization code"))?;
    if find(form, "redirect_uri") != Some(request.redirect_uri.as_str()) {
        return Err(Refused("redirect_uri_mismatch", "redirect_uri must match configuration"));
    }
    if let Some(challenge) = &request.challenge {
        let verifier = find(form, "code_verifier").unwrap_or_default();
        if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
            != challenge.trim_end_matches('=')
        {
            return Err(Refused("invalid_grant", "invalid code verifier"));
        }
    }
    Ok(auth.grant_code(&user, &request.scope, request.started, now))
}

fn by_refresh_token(state: &State, form: &Form, hits: &[FaultKind]) -> Result<Granted, Refused> {
    let token = find(form, "refresh_token")
        .ok_or(Refused("invalid_request", "missing required parameter: refresh_token"))?;
    if hits.contains(&FaultKind::TokenBusy) {
        return Err(Refused("invalid_grant", "token request is already being processed"));
    }
    if find(form, "scope").is_some() {
        return Err(Refused("invalid_request", "scope parameter not supported"));
    }
    let mut auth = lock(&state.auth);
    if hits.contains(&FaultKind::RevokeToken) {
        auth.revoke(token);
    }
    auth.refresh(token, state.config.rotate_refresh_tokens, state.now()).map_err(|refusal| {
        match refusal {
            RefreshRefusal::Unknown | RefreshRefusal::Replayed => EXPIRED_TOKEN,
            RefreshRefusal::Lost(loss) => {
                let (error, description) = loss.words();
                Refused(error, description)
            }
        }
    })
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    prn: Option<String>,
    aud: Option<String>,
    exp: Option<f64>,
}

/// The user that a signed assertion speaks for.
fn by_assertion(state: &State, assertion: &str) -> Result<String, Refused> {
    const INVALID: Refused = Refused("invalid_grant", "invalid assertion");
    let Some(pem) = &state.config.jwt_public_key_pem else {
        return Err(Refused("invalid_grant", "user hasn't approved this consumer"));
    };
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| INVALID)?;
    // Times and audience are checked below: against the org's clock, and with Salesforce's texts.
    let mut checks = Validation::new(Algorithm::RS256);
    checks.validate_exp = false;
    checks.validate_aud = false;
    checks.required_spec_claims.clear();
    let claims =
        jsonwebtoken::decode::<Claims>(assertion, &key, &checks).map_err(|_| INVALID)?.claims;

    if claims.iss.as_deref() != Some(state.config.client_id.as_str()) {
        return Err(Refused("invalid_client_id", "client identifier invalid"));
    }
    let audience = claims.aud.unwrap_or_default();
    let own = state.url();
    if !["https://login.salesforce.com", "https://test.salesforce.com", own.as_str()]
        .contains(&audience.trim_end_matches('/'))
    {
        return Err(Refused("invalid_grant", "audience is invalid"));
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let latest = (state.now() - SKEW).as_second() as f64;
    if claims.exp.is_none_or(|expires| expires < latest) {
        return Err(Refused("invalid_grant", "assertion is expired"));
    }
    claims
        .sub
        .or(claims.prn)
        .filter(|user| state.config.knows_user(user))
        .ok_or(Refused("invalid_grant", "user hasn't approved this consumer"))
}

/// The success body, with Salesforce's keys in Salesforce's order; there is no `expires_in`.
fn success(state: &State, granted: &Granted, by_user: bool) -> Value {
    let session = &granted.session;
    let id = identity_url(state, &session.user);
    let issued_at = session.issued.as_millisecond().to_string();
    let signature = Value::from(sign(&format!("{id}{issued_at}"), &lock(&state.secret)));
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("access_token", session.token.clone().into());
    if let Some(refresh_token) = &granted.refresh_token {
        put("refresh_token", refresh_token.clone().into());
    }
    if by_user {
        put("signature", signature.clone());
    }
    put("scope", session.scope.clone().into());
    put("instance_url", state.url().into());
    put("id", id.into());
    put("token_type", "Bearer".into());
    put("issued_at", issued_at.into());
    if !by_user {
        put("signature", signature);
    }
    Value::Object(body)
}

/// HMAC-SHA256 in standard base64, keyed with the consumer secret.
fn sign(text: &str, secret: &str) -> String {
    jsonwebtoken::crypto::sign(
        text.as_bytes(),
        &EncodingKey::from_secret(secret.as_bytes()),
        Algorithm::HS256,
    )
    .ok()
    .and_then(|signature| URL_SAFE_NO_PAD.decode(signature).ok())
    .map(|bytes| STANDARD.encode(bytes))
    .unwrap_or_default()
}

fn never_cached(answer: Answer) -> Answer {
    answer
        .with(header::EXPIRES, "Thu, 01 Jan 1970 00:00:00 GMT")
        .with(axum::http::HeaderName::from_static("x-readonlymode"), "false")
}
