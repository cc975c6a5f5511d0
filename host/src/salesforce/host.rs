//! Which servers may see credentials.

use url::{Host, Url};

use super::Error;

/// Where Salesforce logs users in, beside My Domain hosts.
const LOGIN: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];

/// What a My Domain host ends in.
const MY_DOMAIN: [&str; 3] = [".my.salesforce.com", ".my.salesforce.mil", ".my.sfcrmproducts.cn"];

/// What the host of an org's API ends in.
const API: [&str; 5] =
    [".salesforce.com", ".salesforce.mil", ".cloudforce.com", ".database.com", ".sfcrmproducts.cn"];

/// Checks a login host as a user writes it (`login.salesforce.com`, `https://acme.my.salesforce.com`,
/// `http://127.0.0.1:8080`) and returns its origin. Plain HTTP is only for loopback addresses. `allowed` are further
/// hosts, as `name` or `name:port`.
pub fn login(text: &str, allowed: &[String]) -> Result<Url, Error> {
    let known =
        |host: &str| LOGIN.contains(&host) || MY_DOMAIN.iter().any(|end| host.ends_with(end));
    check(text, allowed, known)
}

/// Checks the address of an org's API as a token answer tells it; loopback is only for orgs that are logged into there.
pub fn instance(text: &str, login: &Url, allowed: &[String]) -> Result<Url, Error> {
    let url = check(text, allowed, |host| API.iter().any(|end| host.ends_with(end)))?;
    if is_loopback(&url) && !is_loopback(login) {
        return Err(refuse(text, "it is on this machine, the login host is not"));
    }
    Ok(url)
}

/// Whether the address is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn refuse(host: &str, why: &str) -> Error {
    Error::Host { host: host.chars().take(100).collect(), why: why.to_owned() }
}

fn check(text: &str, allowed: &[String], known: impl Fn(&str) -> bool) -> Result<Url, Error> {
    let text = text.trim();
    let with_scheme =
        if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&with_scheme).map_err(|error| refuse(text, &error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("(hidden)", "it carries a user name or password"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(text, "only a host is wanted, without a path"));
    }
    url.set_path("");
    if is_loopback(&url) && matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err(refuse(text, "only https is used outside this machine"));
    }
    let name = url.host_str().unwrap_or_default();
    let place = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    if allowed.contains(&place) {
        return Ok(url);
    }
    if url.port().is_some() {
        return Err(refuse(text, "Salesforce has no other port than 443"));
    }
    if url.host_str().is_some_and(known) {
        return Ok(url);
    }
    let why = "it is none of Salesforce's: use login.salesforce.com, test.salesforce.com your My Domain host \
               (…my.salesforce.com), or allow it by name with `allowed_hosts` under [org]";
    Err(refuse(text, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_salesforce_only() {
        for good in [
            "login.salesforce.com",
            "https://test.salesforce.com/",
            "acme.my.salesforce.com",
            "https://acme--uat.sandbox.my.salesforce.com",
            "https://LOGIN.Salesforce.com",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:80",
        ] {
            assert!(login(good, &[]).is_ok(), "{good}");
        }
        for bad in [
            "http://login.salesforce.com",
            "login.salesforce.com.evil.net",
            "https://evil.net/login.salesforce.com",
            "https://evilmy.salesforce.com.net",
            "https://login.salesforce.com@evil.net",
            "https://login.salesforce.com:8443",
            "https://xlogin.salesforce.com",
            "https://my.salesforce.com",
            "ftp://127.0.0.1",
            "http://10.0.0.1",
            "http://127.0.0.1.evil.net",
            "na1.salesforce.com/services",
            "",
        ] {
            assert!(login(bad, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_instance_is_checked_too() {
        let real = login("login.salesforce.com", &[]).unwrap();
        let local = login("http://127.0.0.1:9", &[]).unwrap();
        assert!(instance("https://na139.salesforce.com", &real, &[]).is_ok());
        assert!(instance("https://acme.my.salesforce.com", &real, &[]).is_ok());
        assert!(instance("http://127.0.0.1:8080", &local, &[]).is_ok());
        assert!(instance("http://127.0.0.1:8080", &real, &[]).is_err());
        assert!(instance("https://evil.net", &real, &[]).is_err());
        assert!(instance("https://evilsalesforce.com", &real, &[]).is_err());
    }

    #[test]
    fn a_host_may_be_allowed_by_name() {
        let allowed = ["proxy.example.com", "10.0.0.1:8443"].map(str::to_owned);
        let real = login("https://PROXY.example.com", &allowed).unwrap();
        assert_eq!(real.as_str(), "https://proxy.example.com/");
        assert!(instance("https://10.0.0.1:8443", &real, &allowed).is_ok());
        for bad in [
            "http://proxy.example.com",
            "https://proxy.example.com:8443",
            "https://proxy.example.com.evil.net",
            "https://x.proxy.example.com",
            "https://10.0.0.1",
            "https://proxy.example.com@evil.net",
        ] {
            assert!(login(bad, &allowed).is_err(), "{bad}");
            assert!(instance(bad, &real, &allowed).is_err(), "{bad}");
        }
    }
}
