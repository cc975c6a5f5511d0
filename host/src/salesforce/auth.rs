//! The OAuth grants, through the `oauth2` crate over our own client, and what their refusals mean.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, StandardRevocableToken, StandardTokenResponse,
    TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::http::Fault;
use super::org::Shared;
use super::retry::Trouble;
use super::{ConnectionSettings, Error, Refusal};
use crate::model::{Caller, ConnectionName, Purpose};

/// What a grant gave. Without `Debug`: it is nothing but secrets.
pub(super) struct Granted {
    pub access_token: Zeroizing<String>,
    pub refresh_token: Option<Zeroizing<String>>,
    pub instance: Option<String>,
    pub org_id: Option<String>,
    pub user_id: Option<String>,
    /// Whether a person consented just now.
    pub consented: bool,
}

/// What Salesforce's token answers have beside the standard's members.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    #[serde(default)]
    instance_url: Option<String>,
    #[serde(default)]
    id: Option<String>,
}

impl ExtraTokenFields for Extra {}

type TokenAnswer = StandardTokenResponse<Extra, BasicTokenType>;

pub(super) type Client = oauth2::Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl From<TokenAnswer> for Granted {
    fn from(answer: TokenAnswer) -> Self {
        // `https://login.salesforce.com/id/<org>/<user>`
        let id = answer.extra_fields().id.as_deref().unwrap_or_default();
        let mut parts = id.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned);
        let (user_id, org_id) = (parts.next(), parts.next());
        Self {
            access_token: Zeroizing::new(answer.access_token().secret().clone()),
            refresh_token: answer
                .refresh_token()
                .map(|token| Zeroizing::new(token.secret().clone())),
            instance: answer.extra_fields().instance_url.clone(),
            org_id,
            user_id,
            consented: false,
        }
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

    pub(super) fn client(
        &self,
        settings: &ConnectionSettings,
        secret: Option<&SecretString>,
    ) -> Client {
        let client = oauth2::Client::new(ClientId::new(settings.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.login_path("/services/oauth2/authorize")))
            .set_token_uri(TokenUrl::from_url(self.login_path("/services/oauth2/token")))
            .set_auth_type(AuthType::RequestBody);
        match secret {
            Some(secret) => {
                client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()))
            }
            None => client,
        }
    }

    /// Exchanges the code that a user's consent gave.
    pub(super) async fn exchange(
        &self,
        who: &Caller,
        settings: &ConnectionSettings,
        secret: Option<&SecretString>,
        code: String,
        verifier: PkceCodeVerifier,
        redirect: RedirectUrl,
    ) -> Result<Granted, Error> {
        let client = self.client(settings, secret).set_redirect_uri(redirect);
        let request =
            client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
        let sender = Sender { shared: self, who, refreshing: false };
        let answer = request.request_async(&sender).await.map_err(understood)?;
        Ok(Granted { consented: true, ..answer.into() })
    }

    /// Exchanges a refresh token for an access token, and for its successor when tokens rotate.
    pub(super) fn refresh<'a>(
        &'a self,
        who: &'a Caller,
        settings: &'a ConnectionSettings,
        secret: Option<&'a SecretString>,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Granted, Error>> {
        Box::pin(async move {
            let token = RefreshToken::new(token.to_owned());
            let client = self.client(settings, secret);
            let sender = Sender { shared: self, who, refreshing: true };
            let answer = client.exchange_refresh_token(&token).request_async(&sender).await;
            Ok(answer.map_err(understood)?.into())
        })
    }

    /// The client-credentials grant.
    pub(super) fn mint<'a>(
        &'a self,
        who: &'a Caller,
        settings: &'a ConnectionSettings,
        secret: &'a SecretString,
    ) -> BoxFuture<'a, Result<Granted, Error>> {
        Box::pin(async move {
            let client = self.client(settings, Some(secret));
            let sender = Sender { shared: self, who, refreshing: false };
            let answer = client.exchange_client_credentials().request_async(&sender).await;
            Ok(answer.map_err(understood)?.into())
        })
    }

    /// The JWT bearer grant, which the `oauth2` crate does not know.
    pub(super) async fn sign(
        &self,
        who: &Caller,
        settings: &ConnectionSettings,
        user: &str,
        key: &SecretString,
        audience: Option<&str>,
    ) -> Result<Granted, Error> {
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
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        let answer = self.form(who, "/services/oauth2/token", form).await?;
        let answer: TokenAnswer =
            serde_json::from_slice(answer.body()).map_err(|_| not_a_token())?;
        Ok(answer.into())
    }

    fn audience(&self) -> &'static str {
        let name = self.login.host_str().unwrap_or_default();
        if name == "test.salesforce.com" || name.contains(".sandbox.") {
            "https://test.salesforce.com"
        } else {
            "https://login.salesforce.com"
        }
    }

    /// Revokes a token; an error is no harm, the token is forgotten here anyway.
    pub(super) async fn revoke(&self, who: &Caller, token: &str) -> Result<(), Error> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .finish();
        self.form(who, "/services/oauth2/revoke", form).await.map(drop)
    }

    async fn form(&self, who: &Caller, path: &str, form: String) -> Result<HttpResponse, Error> {
        let request = oauth2::http::Request::builder()
            .method("POST")
            .uri(self.login_path(path).as_str())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(form.into_bytes())
            .map_err(|error| Error::Answer { what: "token".to_owned(), why: error.to_string() })?;
        self.token_request(who, request, false).await
    }

    /// Sends a request to the login host, again when that makes sense; only good answers come back.
    async fn token_request(
        &self,
        who: &Caller,
        request: HttpRequest,
        refreshing: bool,
    ) -> Result<HttpResponse, Error> {
        let what = || Purpose::Token.as_str().to_owned();
        let (parts, body) = request.into_parts();
        let body = Zeroizing::new(body);
        let url = Url::parse(&parts.uri.to_string())
            .ok()
            .filter(|url| url.origin() == self.login.origin())
            .ok_or_else(|| Error::Host {
                host: parts.uri.host().unwrap_or_default().to_owned(),
                why: "credentials go to the login host only".to_owned(),
            })?;
        let started = Instant::now();
        let mut failed = 0;
        loop {
            let request = self
                .http
                .request(parts.method.clone(), url.clone())
                .headers(parts.headers.clone())
                .body(body.to_vec())
                .build()
                .map_err(|error| Error::Answer {
                    what: what(),
                    why: error.without_url().to_string(),
                })?;
            let pass = self.gate.free(who, Purpose::Token).await.map_err(Error::NoPermit)?;
            let (trouble, why, wanted) = match self.http.send(pass.into(), request).await {
                Ok(answer) if answer.status == 200 => {
                    let mut response = HttpResponse::new(answer.body.to_vec());
                    let json = oauth2::http::HeaderValue::from_static("application/json");
                    response.headers_mut().insert("content-type", json);
                    return Ok(response);
                }
                Ok(answer) => {
                    let refusal = Refusal::read(answer.status, &answer.body);
                    let why =
                        format!("HTTP {} {}: {}", answer.status, refusal.code, refusal.message);
                    match refused(&who.connection, &refusal, refreshing) {
                        Verdict::Again(trouble) => (trouble, why, answer.retry_after),
                        Verdict::Final(error) if !passing(&error) => return Err(error),
                        // The words of concurrent refreshing were once those of a dead token: ask once more.
                        Verdict::Final(error) if failed > 0 => return Err(error),
                        Verdict::Final(_) => (Trouble::TokenBusy, why, None),
                    }
                }
                Err(Fault::Passing(trouble, why)) => (trouble, why, None),
                Err(Fault::TooLarge) => {
                    return Err(Error::TooLarge { what: what(), most: self.settings.answer_cap });
                }
            };
            failed += 1;
            let pause = self.settings.retry.pause(trouble, failed, rand::random(), wanted);
            let Some(pause) = pause else {
                let took = started.elapsed();
                return Err(Error::Unreachable { what: what(), attempts: failed, why, took });
            };
            tracing::info!(connection = %who.connection, why, "asking for a token again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks who the user is; Salesforce does not count it.
    pub(super) async fn user_name(
        &self,
        who: &Caller,
        instance: &Url,
        bearer: &SecretString,
    ) -> Option<String> {
        #[derive(Deserialize)]
        struct Info {
            preferred_username: Option<String>,
        }
        let mut url = instance.clone();
        url.set_path("/services/oauth2/userinfo");
        let request =
            self.http.request(reqwest::Method::GET, url).bearer_auth(bearer.expose_secret());
        let pass = self.gate.free(who, Purpose::Token).await.ok()?;
        let answer = self.http.send(pass.into(), request.build().ok()?).await.ok()?;
        let info: Info = serde_json::from_slice(&answer.body).ok()?;
        info.preferred_username
    }
}

/// The client that the `oauth2` crate is given: our own, with its gate and its retries.
struct Sender<'a> {
    shared: &'a Shared,
    who: &'a Caller,
    refreshing: bool,
}

impl<'c> AsyncHttpClient<'c> for Sender<'_> {
    type Error = Error;
    type Future = BoxFuture<'c, Result<HttpResponse, Error>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.shared.token_request(self.who, request, self.refreshing))
    }
}

enum Verdict {
    Again(Trouble),
    Final(Error),
}

/// An old spelling of 'another refresh is under way', worth one more try.
fn passing(error: &Error) -> bool {
    matches!(error, Error::Reconnect { why, .. } if why.contains("expired authorization code"))
}

/// What a refusal of the token endpoint means (the table of Salesforce's OAuth errors).
fn refused(connection: &ConnectionName, refusal: &Refusal, refreshing: bool) -> Verdict {
    if let Some(trouble) = Trouble::of_status(refusal.status) {
        return Verdict::Again(trouble);
    }
    let words = refusal.message.to_ascii_lowercase();
    match refusal.code.as_str() {
        "invalid_grant" if words.contains("already being processed") => {
            Verdict::Again(Trouble::TokenBusy)
        }
        "rate_limit_exceeded" => Verdict::Again(Trouble::Crowded),
        "server_error" | "unknown_error" | "temporarily_unavailable" => {
            Verdict::Again(Trouble::Server(refusal.status))
        }
        "invalid_grant" | "inactive_user" if refreshing && !words.contains("ip restricted") => {
            let why = refusal.message.clone();
            Verdict::Final(Error::Reconnect { connection: connection.clone(), why })
        }
        code => {
            let error =
                if code.is_empty() { format!("HTTP {}", refusal.status) } else { code.to_owned() };
            let description = refusal.message.clone();
            Verdict::Final(Error::Denied { connection: connection.clone(), error, description })
        }
    }
}

fn not_a_token() -> Error {
    // The parser's words could repeat a part of the answer, which holds tokens.
    let why = "it has not the members of a token answer".to_owned();
    Error::Answer { what: Purpose::Token.as_str().to_owned(), why }
}

fn understood(error: RequestTokenError<Error, BasicErrorResponse>) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        _ => not_a_token(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_each_refusal_means() {
        let name = ConnectionName::new("main").unwrap();
        let verdict = |status, code: &str, message: &str, refreshing| {
            let refusal = Refusal { status, code: code.to_owned(), message: message.to_owned() };
            match refused(&name, &refusal, refreshing) {
                Verdict::Again(_) => "again",
                Verdict::Final(error) => error.code(),
            }
        };
        for (code, message, refreshing, meaning) in [
            ("invalid_grant", "expired access/refresh token", true, "auth.reconnect"),
            ("invalid_grant", "token request is already being processed", true, "again"),
            ("invalid_grant", "authentication failure", true, "auth.reconnect"),
            ("invalid_grant", "ip restricted", true, "auth.denied"),
            ("invalid_grant", "user hasn't approved this consumer", false, "auth.denied"),
            ("invalid_grant", "audience is invalid", false, "auth.denied"),
            ("invalid_grant", "expired authorization code", false, "auth.denied"),
            (
                "invalid_app_access",
                "user is not admin approved to access this app",
                false,
                "auth.denied",
            ),
            ("invalid_client_id", "client identifier invalid", true, "auth.denied"),
            ("invalid_client", "invalid client credentials", true, "auth.denied"),
            ("unsupported_grant_type", "grant type not supported", false, "auth.denied"),
            ("rate_limit_exceeded", "login rate exceeded", true, "again"),
            ("inactive_user", "user is inactive", true, "auth.reconnect"),
            ("inactive_org", "organization is locked, closed, or suspended", true, "auth.denied"),
            ("server_error", "", true, "again"),
        ] {
            assert_eq!(verdict(400, code, message, refreshing), meaning, "{code} {message}");
        }
        assert_eq!(verdict(503, "", "a web page", true), "again");
        assert_eq!(verdict(403, "", "Bad_OAuth_Token", true), "auth.denied");
    }
}
