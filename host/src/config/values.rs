//! How single values are read: durations, sizes, shares, hosts and names.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use url::{Host, Url};

use super::Allowance;
use super::file::NumberOrText;

/// What is wrong with a value, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: String,
}

/// A fault of these words.
pub fn fault(what: impl Into<String>, cure: impl Into<String>) -> Fault {
    Fault { what: what.into(), cure: cure.into() }
}

/// A duration such as `15m`, `1h30m`, `90s`, `250ms` or `1d`, within bounds.
pub fn duration(text: &str, least: Duration, most: Duration) -> Result<Duration, Fault> {
    let cure = "write a duration such as \"90s\", \"15m\" or \"1h30m\"";
    let span: Span = text.parse().map_err(|_| fault("is not a duration", cure))?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| fault("is not a fixed length of time", cure))?;
    let Ok(length) = Duration::try_from(signed) else {
        return Err(fault("is negative", cure));
    };
    if length < least {
        let least = spell_duration(least);
        return Err(fault("is too short", format!("write at least \"{least}\"")));
    }
    if length > most {
        let most = spell_duration(most);
        return Err(fault("is too long", format!("write at most \"{most}\"")));
    }
    Ok(length)
}

/// The duration as it could stand in the file.
pub fn spell_duration(duration: Duration) -> String {
    let signed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    format!("{signed:#}").replace(' ', "")
}

/// A number of bytes: `65536`, `"64 KiB"`, `"1.5 GB"`.
pub fn size(value: &NumberOrText, least: u64) -> Result<u64, Fault> {
    let cure = "write a size such as \"64 MiB\"";
    let bytes = match value {
        NumberOrText::Number(number) => {
            u64::try_from(*number).map_err(|_| fault("is negative", cure))?
        }
        NumberOrText::Text(text) => {
            let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
            let (number, unit) = text.split_at(unit_at);
            let factor: u64 = match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 1,
                "kb" => 1000,
                "mb" => 1000_u64.pow(2),
                "gb" => 1000_u64.pow(3),
                "kib" | "k" => 1 << 10,
                "mib" | "m" => 1 << 20,
                "gib" | "g" => 1 << 30,
                _ => return Err(fault("has a unit that is not known", cure)),
            };
            // Tenths are enough for a size that a person writes, and stay exact.
            let (whole, tenth) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
            let digit = |text: &str| text.parse::<u64>().ok().filter(|_| text.len() < 16);
            let (Some(whole), Some(tenth), true) = (digit(whole), digit(tenth), tenth.len() == 1)
            else {
                return Err(fault("is not a size", cure));
            };
            whole
                .checked_mul(factor)
                .and_then(|bytes| bytes.checked_add(tenth * factor / 10))
                .ok_or_else(|| fault("is too large", cure))?
        }
    };
    if bytes < least {
        return Err(fault("is too small", format!("write at least {least} bytes")));
    }
    Ok(bytes)
}

/// A share of the org's calls: `5000` or `"50%"`.
pub fn allowance(value: &NumberOrText) -> Result<Allowance, Fault> {
    let cure = "write a number of calls such as 5000, or a share such as \"50%\"";
    match value {
        NumberOrText::Number(calls) => match u64::try_from(*calls) {
            Ok(0) => Err(fault("leaves no call at all", cure)),
            Ok(calls) => Ok(Allowance::Calls(calls)),
            Err(_) => Err(fault("is negative", cure)),
        },
        NumberOrText::Text(text) => {
            let number = text.trim().strip_suffix('%').map(str::trim);
            match number.and_then(|number| number.parse::<u32>().ok()) {
                Some(0) => Err(fault("leaves no call at all", cure)),
                Some(percent @ 1..=100) => {
                    Ok(Allowance::Percent(u8::try_from(percent).unwrap_or(100)))
                }
                Some(_) => Err(fault("is more than the org has", "write at most \"100%\"")),
                None => Err(fault("is neither a number of calls nor a percentage", cure)),
            }
        }
    }
}

/// A SHA-256 in hexadecimal, with or without `sha256:` before it; given in lower case, without.
pub fn digest(text: &str) -> Result<String, Fault> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(hex.to_ascii_lowercase());
    }
    let cure = "copy it from `kilofold plugin check`: 64 hexadecimal digits";
    Err(fault("is not a digest", cure))
}

/// What to write instead of a word that is none of these.
pub fn one_of(text: &str, names: &[&str]) -> String {
    match nearest(text, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("write one of \"{}\"", names.join("\", \"")),
    }
}

/// A whole number within bounds.
pub fn number(value: i64, least: i64, most: i64) -> Result<i64, Fault> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(fault("is out of range", format!("write a number from {least} to {most}")))
}

/// A host that the user allows by name: `proxy.example.com` or `proxy.example.com:8443`, in lower case.
pub fn host(text: &str) -> Result<String, Fault> {
    let cure =
        "write a host name, with its port when it is not 443, for example \"proxy.example.com\"";
    let text = text.trim();
    if text.contains("://") || text.contains(['/', '?', '#', '@', '*', ' ']) {
        return Err(fault("is more than a host and a port", cure));
    }
    let url = Url::parse(&format!("https://{text}")).map_err(|_| fault("is not a host", cure))?;
    let name = url.host_str().filter(|name| name.contains('.') || name.contains(':'));
    let name = name.ok_or_else(|| fault("is not the whole name of a host", cure))?;
    Ok(url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")))
}

/// Where users log in. Credentials go there, so it must be Salesforce, this machine, or a host that the user allows.
pub fn login(text: &str, allowed: &[String]) -> Result<Url, Fault> {
    let cure = "write \"production\", \"sandbox\" or \"https://my-domain.my.salesforce.com\"";
    let address = match text {
        "production" => "https://login.salesforce.com",
        "sandbox" => "https://test.salesforce.com",
        other => other,
    };
    let url = Url::parse(address).map_err(|_| fault("is not an address", cure))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("holds credentials", cure));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(fault("is more than scheme, host and port", "leave out what follows the host"));
    }
    let salesforce = match (url.scheme(), url.host()) {
        ("http" | "https", Some(Host::Ipv4(host))) if host.is_loopback() => return Ok(url),
        ("http" | "https", Some(Host::Ipv6(host))) if host.is_loopback() => return Ok(url),
        ("http" | "https", Some(Host::Domain("localhost"))) => return Ok(url),
        ("https", Some(Host::Domain(host))) => {
            if let Some(domain) = host.strip_suffix(".lightning.force.com") {
                return Err(fault(
                    "is the address of pages, not of logins",
                    format!("write \"https://{domain}.my.salesforce.com\""),
                ));
            }
            [".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn"]
                .iter()
                .any(|suffix| host.ends_with(suffix))
        }
        ("http", Some(_)) => return Err(fault("is not encrypted", "write https:// for http://")),
        _ => false,
    };
    let name = url.host_str().unwrap_or_default();
    let name = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    if salesforce || (url.scheme() == "https" && allowed.contains(&name)) {
        return Ok(url);
    }
    let cure = format!("{cure}; or allow it by name: allowed_hosts = [\"{name}\"]");
    Err(fault("is not a Salesforce host", cure))
}

/// Whether logins of every org meet at this host.
pub fn is_shared_login(url: &Url) -> bool {
    matches!(url.host_str(), Some("login.salesforce.com" | "test.salesforce.com"))
}

/// A REST API version such as `v62.0`.
pub fn api_version(text: &str) -> Result<String, Fault> {
    let number = text.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
    match number.and_then(|number| number.parse::<u16>().ok()) {
        Some(30..=999) => Ok(text.to_owned()),
        Some(_) => Err(fault("is too old", "write \"v62.0\"")),
        None => Err(fault("is not an API version", "write it as \"v62.0\"")),
    }
}

/// An address and port to listen on.
pub fn listen(text: &str) -> Result<SocketAddr, Fault> {
    let text = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"))
        .unwrap_or(text.to_owned());
    text.parse()
        .map_err(|_| fault("is not an address and port", "write for example \"127.0.0.1:4350\""))
}

/// The API name of an object or of one field.
pub fn api_name(text: &str) -> Result<(), Fault> {
    let mut letters = text.bytes();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
    if first && text.len() <= 80 && letters.all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return Ok(());
    }
    let cure =
        "write the API name as Setup shows it: letters, digits and '_', for example \"Invoice__c\"";
    Err(fault("is not an API name", cure))
}

/// The API name of a field, with the relationships that lead to it: `Account.Owner.Name`.
pub fn field_path(text: &str) -> Result<(), Fault> {
    if text.split('.').count() > 6 {
        return Err(fault("is further away than SOQL goes", "follow at most five relationships"));
    }
    text.split('.').try_for_each(api_name).map_err(|mut fault| {
        fault.cure = "write API names, parents with a dot, for example \"Account.Name\"".into();
        fault
    })
}

/// The candidate nearest to `word`, when one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must change, by Levenshtein.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        let day = Duration::from_secs(86_400);
        duration(text, Duration::ZERO, day).ok().map(|length| length.as_secs())
    }

    #[test]
    fn reads_durations() {
        for (text, seconds) in
            [("15m", 900), ("1h30m", 5400), ("90s", 90), ("1d", 86_400), ("PT5M", 300)]
        {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for text in ["15", "-5m", "1mo", "soon", "", "2d"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(spell_duration(Duration::from_secs(5400)), "1h30m");
    }

    #[test]
    fn reads_sizes() {
        let text = |text: &str| size(&NumberOrText::Text(text.into()), 0).ok();
        assert_eq!(text("64 MiB"), Some(64 << 20));
        assert_eq!(text("1.5GB"), Some(1_500_000_000));
        assert_eq!(text("10"), Some(10));
        for wrong in
            ["-1", "1.55 GB", "5 parsecs", "99999999999999999 GiB", "MiB", "999999999999 GiB"]
        {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sends_credentials_to_salesforce_only() {
        for good in [
            "production",
            "https://acme.my.salesforce.com",
            "http://127.0.0.1:8080",
            "http://[::1]:1/",
        ] {
            assert!(login(good, &[]).is_ok(), "{good}");
        }
        for bad in [
            "http://acme.my.salesforce.com",
            "https://salesforce.com.evil.example",
            "https://evilsalesforce.com",
            "https://u:p@acme.my.salesforce.com",
            "https://acme.my.salesforce.com/services",
            "https://acme.lightning.force.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "acme",
        ] {
            assert!(login(bad, &[]).is_err(), "{bad}");
        }
        let allowed = ["proxy.example.com", "10.0.0.1:8443"].map(str::to_owned);
        for good in
            ["https://proxy.example.com", "https://PROXY.example.com/", "https://10.0.0.1:8443"]
        {
            assert!(login(good, &allowed).is_ok(), "{good}");
        }
        for bad in [
            "http://proxy.example.com",
            "https://proxy.example.com:8443",
            "https://x.proxy.example.com",
        ] {
            assert!(login(bad, &allowed).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_allowed_hosts() {
        for (text, read) in [
            ("Proxy.Example.com", "proxy.example.com"),
            ("proxy.example.com:443", "proxy.example.com"),
            ("proxy.example.com:8443", "proxy.example.com:8443"),
            ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(read));
        }
        for wrong in
            ["", "com", "https://x.example.com", "x.example.com/path", "*.example.com", "a@b.c"]
        {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn finds_what_was_meant() {
        let keys = ["every", "enabled", "where"];
        assert_eq!(nearest("evry", keys.into_iter()), Some("every"));
        assert_eq!(nearest("colour", keys.into_iter()), None);
    }

    proptest::proptest! {
        #[test]
        fn spells_what_it_reads(millis in 0_u64..100_000_000) {
            let length = Duration::from_millis(millis);
            let again = duration(&spell_duration(length), Duration::ZERO, Duration::MAX);
            proptest::prop_assert_eq!(again, Ok(length));
        }

        #[test]
        fn never_panics(text in ".{0,30}") {
            drop(duration(&text, Duration::ZERO, Duration::MAX));
            drop(size(&NumberOrText::Text(text.clone()), 0));
            drop(allowance(&NumberOrText::Text(text.clone())));
            drop(login(&text, &[]));
            drop(host(&text));
            drop(field_path(&text));
            let near = nearest(&text, ["every", "where"].into_iter());
            proptest::prop_assert!(near.is_none_or(|near| ["every", "where"].contains(&near)));
        }
    }
}
