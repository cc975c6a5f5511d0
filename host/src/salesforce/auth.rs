//! The OAuth grants over our own client: forms and answers of our own, since the `oauth2` crate's types, which serve for
//! the consent, leave copies of tokens in memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;
use zeroize::{Zeroize as _, Zeroizing};

use super::http::Fault;
use super::org::Shared;
use super::retry::Trouble;
use super::{ConnectionSettings, Error, Refusal};
use crate::model::{Caller, ConnectionName, Purpose};

/// What a grant gave. Without `Debug`: it is nothing but secrets.
#[derive(Clone)]
pub(super) struct Granted {
    pub access_token: Zeroizing<String>,
    pub refresh_token: Option<Zeroizing<String>>,
    pub instance: Option<String>,
    pub org_id: Option<String>,
    pub user_id: Option<String>,
    /// The user's name, when it was asked for already.
    pub user: Option<String>,
    /// Whether a person consented just now.
    pub consented: bool,
}

/// The members of a token answer that are of use.
#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(deserialize_with = "wiped")]
    access_token: Zeroizing<String>,
    #[serde(default, deserialize_with = "wiped_if_any")]
    refresh_token: Option<Zeroizing<String>>,
    instance_url: Option<String>,
    id: Option<String>,
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn wiped_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Zeroizing::new))
}

impl Granted {
    /// Reads a token answer. The error does not repeat the parser's words: they could hold a part of a token.
    pub(super) fn read(body: &[u8], consented: bool) -> Result<Self, Error> {
        let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| {
            let why = "it has not the members of a token answer".to_owned();
            Error::Answer { what: Purpose::Token.as_str().to_owned(), why }
        })?;
        // The identity URL ends in /id/<org>/<user>.
        let id = answer.id.unwrap_or_default();
        let mut parts = id.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned);
        let (user_id, org_id) = (parts.next(), parts.next());
        Ok(Self {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            instance: answer.instance_url,
            org_id,
            user_id,
            user: None,
            consented,
        })
    }
}

/// The body of a form, wiped from memory when its last copy goes.
struct Form(Bytes);

impl Form {
    fn new(pairs: &[(&str, &str)]) -> Self {
        // Room for the worst spelling, so that it never moves and leaves a copy behind.
        let room = pairs.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push(b'&');
            }
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            for piece in url::form_urlencoded::byte_serialize(value.as_bytes()) {
                text.extend_from_slice(piece.as_bytes());
            }
        }
        Self(Bytes::from_owner(text))
    }
}

/// A body that holds tokens, wiped from memory when it goes, as far as nobody else holds it.
pub(super) struct Wiped(Bytes);

impl std::ops::Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        if let Ok(mut bytes) = std::mem::take(&mut self.0).try_into_mut() {
            bytes.as_mut().zeroize();
        }
    }
}

/// Why a token request brought no token.
#[derive(Debug)]
pub(super) enum NoToken {
    /// Salesforce refuses.
    Refused {
        /// In these words.
        refusal: Refusal,
        /// Whether an earlier attempt may have reached it whose answer never came.
        unanswered: bool,
    },
    /// Another reason, which says nothing of the authorisation.
    Other(Error),
}

impl From<Error> for NoToken {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

impl Shared {
    /// A path on the login host.
    pub(super) fn login_path(&self, path: &str) -> Url {
        let mut url = self.login.clone();
        url.set_path(path);
        url
    }

    /// Exchanges the code that a user's consent gave.
    pub(super) async fn exchange(
        &self,
        who: &Caller,
        settings: &ConnectionSettings,
        secret: Option<&SecretString>,
        (code, verifier): (&str, &str),
        redirect: &str,
    ) -> Result<Wiped, NoToken> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", &settings.client_id),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        form.extend(secret.map(|secret| ("client_secret", secret.expose_secret())));
        self.token(who, &form).await
    }

    /// Exchanges a refresh token for an access token, and for its successor when tokens rotate.
    pub(super) async fn refresh(
        &self,
        who: &Caller,
        settings: &ConnectionSettings,
        secret: Option<&SecretString>,
        token: &str,
    ) -> Result<Wiped, NoToken> {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", settings.client_id.as_str()),
            ("refresh_token", token),
        ];
        form.extend(secret.map(|secret| ("client_secret", secret.expose_secret())));
        self.token(who, &form).await
    }

    /// The client-credentials grant.
    pub(super) async fn mint(
        &self,
        who: &Caller,
        settings: &ConnectionSettings,
        secret: &SecretString,
    ) -> Result<Wiped, NoToken> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", settings.client_id.as_str()),
            ("client_secret", secret.expose_secret()),
        ];
        self.token(who, &form).await
    }

    /// The JWT bearer grant.
    pub(super) async fn sign(
        &self,
        who: &Caller,
        settings: &ConnectionSettings,
        user: &str,
        key: &SecretString,
        audience: Option<&str>,
    ) -> Result<Wiped, NoToken> {
        let setting = |why: jsonwebtoken::errors::Error| Error::Setting {
            setting: format!("the private key of the connection '{}'", settings.name),
            why: why.to_string(),
        };
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(key.expose_secret().as_bytes())
            .map_err(setting)?;
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        // Salesforce takes assertions that live for up to three minutes, and clocks that differ by as much.
        let exp = self.gate.now().plus(Duration::from_secs(170)).0 / 1000;
        let aud = audience.unwrap_or_else(|| self.audience());
        let claims = Claims { iss: &settings.client_id, sub: user, aud, exp };
        let assertion = jsonwebtoken::encode(&header, &claims, &key).map_err(setting)?;
        let assertion = Zeroizing::new(assertion);
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        self.token(who, &[("grant_type", grant), ("assertion", &assertion)]).await
    }

    fn audience(&self) -> &'static str {
        let name = self.login.host_str().unwrap_or_default();
        if name == "test.salesforce.com" || name.contains(".sandbox.") {
            "https://test.salesforce.com"
        } else {
            "https://login.salesforce.com"
        }
    }

    /// Revokes a token. A token that is unknown to Salesforce is as good as revoked.
    pub(super) async fn revoke(&self, who: &Caller, token: &str) -> Result<(), Error> {
        match self.form(who, "/services/oauth2/revoke", &[("token", token)]).await {
            Ok(_) => Ok(()),
            Err(NoToken::Refused { refusal, .. })
                if matches!(refusal.code.as_str(), "invalid_token" | "unsupported_token_type") =>
            {
                Ok(())
            }
            Err(NoToken::Refused { refusal, .. }) => Err(denied(&who.connection, &refusal)),
            Err(NoToken::Other(error)) => Err(error),
        }
    }

    async fn token(&self, who: &Caller, form: &[(&str, &str)]) -> Result<Wiped, NoToken> {
        self.form(who, "/services/oauth2/token", form).await
    }

    /// Sends a form to the login host, again when that makes sense; only good answers come back.
    async fn form(
        &self,
        who: &Caller,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Wiped, NoToken> {
        let what = || Purpose::Token.as_str().to_owned();
        let refreshing = form.contains(&("grant_type", "refresh_token"));
        let (url, Form(body)) = (self.login_path(path), Form::new(form));
        let started = Instant::now();
        let (mut failed, mut unanswered, mut doubted) = (0, false, false);
        loop {
            let json = HeaderValue::from_static("application/json");
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            let request = self
                .http
                .request(Method::POST, url.clone())
                .header(ACCEPT, json)
                .header(CONTENT_TYPE, kind)
                .body(body.clone())
                .build()
                .map_err(|error| Error::Answer {
                    what: what(),
                    why: error.without_url().to_string(),
                })?;
            let pass = self.gate.free(who, Purpose::Token).await.map_err(Error::NoPermit)?;
            let (trouble, why, wanted) = match self.http.send(pass.into(), request).await {
                Ok(answer) if answer.status == 200 => return Ok(Wiped(answer.body)),
                Ok(answer) => {
                    let refusal = Refusal::read(answer.status, &answer.body);
                    let why =
                        format!("HTTP {} {}: {}", answer.status, refusal.code, refusal.message);
                    match passing(&refusal) {
                        Some(trouble) => {
                            // A server that failed may have done the work before it did.
                            unanswered |= matches!(trouble, Trouble::Server(_));
                            (trouble, why, answer.retry_after)
                        }
                        // The words of concurrent refreshing were once those of a dead token: ask once more.
                        None if refreshing && !doubted && was_busy(&refusal) => {
                            doubted = true;
                            (Trouble::TokenBusy, why, None)
                        }
                        None => return Err(NoToken::Refused { refusal, unanswered }),
                    }
                }
                Err(Fault::Passing(trouble, why)) => {
                    unanswered |= trouble != Trouble::NotSent;
                    (trouble, why, None)
                }
                Err(Fault::TooLarge) => {
                    let most = self.settings.answer_cap;
                    return Err(Error::TooLarge { what: what(), most }.into());
                }
            };
            failed += 1;
            let pause = self.settings.retry.pause(trouble, failed, rand::random(), wanted);
            let Some(pause) = pause else {
                let took = started.elapsed();
                return Err(Error::Unreachable { what: what(), attempts: failed, why, took }.into());
            };
            tracing::info!(connection = %who.connection, why, "asking for a token again");
            self.again(who, why, pause);
            tokio::time::sleep(pause).await;
        }
    }
}

/// Whether the refusal may pass by itself.
fn passing(refusal: &Refusal) -> Option<Trouble> {
    if let Some(trouble) = Trouble::of_status(refusal.status) {
        return Some(trouble);
    }
    match refusal.code.as_str() {
        "invalid_grant" if contains(refusal, "already being processed") => Some(Trouble::TokenBusy),
        "rate_limit_exceeded" => Some(Trouble::Crowded),
        "server_error" | "unknown_error" | "temporarily_unavailable" => {
            Some(Trouble::Server(refusal.status))
        }
        _ => None,
    }
}

fn was_busy(refusal: &Refusal) -> bool {
    refusal.code == "invalid_grant" && contains(refusal, "expired authorization code")
}

fn contains(refusal: &Refusal, words: &str) -> bool {
    refusal.message.to_ascii_lowercase().contains(words)
}

/// Whether a refusal of a refresh token says that this token is no good, and not that something around it is.
pub(super) fn is_dead(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_str(), "invalid_grant" | "inactive_user")
        && !contains(refusal, "ip restricted")
}

/// A refusal whose reason must be mended in the org or in the configuration.
pub(super) fn denied(connection: &ConnectionName, refusal: &Refusal) -> Error {
    let error = match refusal.code.as_str() {
        "" => format!("HTTP {}", refusal.status),
        code => code.to_owned(),
    };
    let description = refusal.message.clone();
    Error::Denied { connection: connection.clone(), error, description }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_each_refusal_means() {
        let verdict = |status, code: &str, message: &str| {
            let refusal = Refusal { status, code: code.to_owned(), message: message.to_owned() };
            match passing(&refusal) {
                Some(_) => "again",
                None if is_dead(&refusal) => "dead",
                None => "denied",
            }
        };
        for (code, message, meaning) in [
            ("invalid_grant", "expired access/refresh token", "dead"),
            ("invalid_grant", "token request is already being processed", "again"),
            ("invalid_grant", "authentication failure", "dead"),
            ("invalid_grant", "ip restricted", "denied"),
            ("invalid_app_access", "user is not admin approved to access this app", "denied"),
            ("invalid_client_id", "client identifier invalid", "denied"),
            ("invalid_client", "invalid client credentials", "denied"),
            ("unsupported_grant_type", "grant type not supported", "denied"),
            ("rate_limit_exceeded", "login rate exceeded", "again"),
            ("inactive_user", "user is inactive", "dead"),
            ("inactive_org", "organization is locked, closed, or suspended", "denied"),
            ("server_error", "", "again"),
        ] {
            assert_eq!(verdict(400, code, message), meaning, "{code} {message}");
        }
        assert_eq!(verdict(503, "", "a web page"), "again");
        assert_eq!(verdict(403, "", "Bad_OAuth_Token"), "denied");
    }

    #[test]
    fn spells_a_form_once_and_in_its_place() {
        let text = "a+b &=é!/%\u{1f600}".repeat(40);
        let form = Form::new(&[("grant_type", "x y"), ("token", &text)]);
        let read: Vec<_> = url::form_urlencoded::parse(&form.0).into_owned().collect();
        assert_eq!(read[0], ("grant_type".to_owned(), "x y".to_owned()));
        assert_eq!(read[1], ("token".to_owned(), text));
    }

    #[test]
    fn an_answer_that_is_none_is_not_repeated() {
        let error = Granted::read(br#"{"access_token":5,"refresh_token":"5Aep861secret"}"#, false);
        let Err(error) = error else { panic!("it is none") };
        assert!(!format!("{error} {error:?}").contains("5Aep861"), "{error}");
        let body = br#"{"access_token":"a","id":"https://login/id/00Dxx/005yy","more":{"x":1}}"#;
        let granted = Granted::read(body, true).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (granted.org_id.as_deref(), granted.user_id.as_deref()),
            (Some("00Dxx"), Some("005yy"))
        );
        assert!(granted.refresh_token.is_none() && granted.consented);
    }
}
