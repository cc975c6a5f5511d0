//! Signatures as Standard Webhooks has them (<https://www.standardwebhooks.com>), for which there are libraries in most languages.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;

/// Signs requests.
#[derive(Debug, Clone)]
pub struct Signer(SecretSlice<u8>);

impl Signer {
    /// With this key: the text as it is, or, after `whsec_`, the bytes that it spells in base64.
    pub fn new(secret: &SecretString) -> Self {
        let text = secret.expose_secret();
        let spelled =
            text.strip_prefix("whsec_").and_then(|text| BASE64_STANDARD.decode(text).ok());
        Self(SecretSlice::from(spelled.unwrap_or_else(|| text.as_bytes().to_vec())))
    }

    /// The three headers of a request: its id, the time, and the signature of both and the body.
    pub fn headers(&self, id: &str, seconds: i64, body: &[u8]) -> [(&'static str, String); 3] {
        [
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature(self.0.expose_secret(), id, seconds, body)),
        ]
    }
}

/// The signature: HMAC-SHA256 of `id.seconds.body`, in base64.
pub fn signature(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn signs_as_others_do() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let headers =
            Signer::new(&secret).headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(headers[2].1, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let plain = Signer::new(&SecretString::from("abc")).headers("i", 1, body);
        assert_eq!(plain[2].1, signature(b"abc", "i", 1, body));
        assert!(!format!("{:?}", Signer::new(&secret)).contains("MfKQ"));
    }
}
