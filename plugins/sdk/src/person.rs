//! What mappings to persons have in common.

use std::borrow::Cow;

use crate::{OrReject, Reject};

/// An e-mail address in lower case, if the text is one; nothing is copied when it already was.
pub fn email(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let (mut at, mut ascii, mut lower) = (None, true, true);
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'@' if at.is_some() => return None,
            b'@' => at = Some(position),
            0..=b' ' | 0x7f | b',' | b';' | b'<' | b'>' | b'"' | b'(' | b')' => return None,
            b'A'..=b'Z' => lower = false,
            0x80.. => ascii = false,
            _ => {}
        }
    }
    let at = at?;
    let label = |it: &str| !it.is_empty() && !it.starts_with('-') && !it.ends_with('-');
    let (name, rest) = text[at + 1..].split_once('.')?;
    let strange = |it: char| it.is_whitespace() || it.is_control();
    if at == 0
        || text.len() > 254
        || !label(name)
        || !rest.split('.').all(label)
        || !ascii && text.contains(strange)
    {
        return None;
    }
    Some(match (ascii, lower) {
        (true, true) => Cow::Borrowed(text),
        (true, false) => Cow::Owned(text.to_ascii_lowercase()),
        (false, _) => Cow::Owned(text.to_lowercase()),
    })
}

/// The e-mail address of a person: without one the record is skipped, and a false one fails it as `email.invalid`, naming
/// the Salesforce field.
///
/// # Errors
/// The skip or the failure.
pub fn email_in<'a>(text: Option<&'a str>, field: &'static str) -> Result<Cow<'a, str>, Reject> {
    let text = text.or_skip("no e-mail address")?;
    email(text).ok_or_else(|| {
        Reject::new("email.invalid", format!("{text:?} is not an e-mail address")).field(field)
    })
}

/// First and last name in one; nothing is copied when there is only the last.
pub fn full_name<'a>(first: Option<&'a str>, last: &'a str) -> Cow<'a, str> {
    match first.map(str::trim).filter(|it| !it.is_empty()) {
        None => Cow::Borrowed(last),
        Some(first) => {
            let mut name = String::with_capacity(first.len() + 1 + last.len());
            name.push_str(first);
            name.push(' ');
            name.push_str(last);
            Cow::Owned(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_addresses_from_other_texts() {
        assert!(matches!(email("ada@example.org"), Some(Cow::Borrowed("ada@example.org"))));
        assert_eq!(
            email(" Ada.LOVELACE+x@Example.ORG ").as_deref(),
            Some("ada.lovelace+x@example.org")
        );
        assert_eq!(email("ÉLODIE@exämple.fr").as_deref(), Some("élodie@exämple.fr"));
        for text in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example",
            "a b@example.org",
            "a@b@example.org",
            "a@.org",
            "a@example..org",
            "a@-x.org",
            "a@example.org, b@example.org",
            "n/a",
        ] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    #[test]
    fn joins_names() {
        assert_eq!(full_name(Some("小"), "林"), "小 林");
        assert!(matches!(full_name(Some(" "), "Prince"), Cow::Borrowed("Prince")));
        assert!(matches!(full_name(None, "Prince"), Cow::Borrowed("Prince")));
    }
}
