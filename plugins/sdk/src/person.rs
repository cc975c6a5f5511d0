//! What mappings to persons have in common.

use std::borrow::Cow;

use crate::{OrReject, Reject};

/// No address has it.
const STRANGE: u8 = 1;
/// Has another form in lower case.
const CAPITAL: u8 = 2;
/// Part of a character that is not ASCII.
const FOREIGN: u8 = 4;

/// What every byte is in an address.
const CLASSES: [u8; 256] = {
    let (mut classes, mut byte) = ([0; 256], 0);
    while byte < 256 {
        classes[byte] = match byte as u8 {
            0..=b' ' | 0x7f | b',' | b';' | b'<' | b'>' | b'"' | b'(' | b')' => STRANGE,
            b'A'..=b'Z' => CAPITAL,
            0x80.. => FOREIGN,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// An e-mail address in lower case, if the text is one; nothing is copied when it already was.
pub fn email(text: &str) -> Option<Cow<'_, str>> {
    let text = trim(text);
    let class = |found: u8, byte: &u8| found | CLASSES[usize::from(*byte)];
    // Eight at a time: there is a deadline to look at in every round of a plugin's loop.
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    let found = eights.iter().fold(0, |found, eight| eight.iter().fold(found, class));
    let found = rest.iter().fold(found, class);
    let strange = |it: char| it.is_whitespace() || it.is_control();
    if found & STRANGE != 0
        || text.len() > 254
        || found & FOREIGN != 0 && text.contains(strange)
        || !is_address(text.as_bytes())
    {
        return None;
    }
    Some(match (found & FOREIGN, found & CAPITAL) {
        (0, 0) => Cow::Borrowed(text),
        (0, _) => Cow::Owned(text.to_ascii_lowercase()),
        _ => Cow::Owned(text.to_lowercase()),
    })
}

/// Whether it is a name, one `@` and a domain of labels that are not empty and neither begin nor end with a hyphen.
fn is_address(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|&byte| byte == b'@');
    let Some((name, [at, domain @ ..])) = at.and_then(|at| bytes.split_at_checked(at)) else {
        return false;
    };
    let (mut before, mut dots, mut sound) = (*at, 0, true);
    for &byte in domain {
        sound &= match byte {
            b'@' => false,
            b'.' => !matches!(before, b'@' | b'.' | b'-'),
            b'-' => !matches!(before, b'@' | b'.'),
            _ => true,
        };
        dots += usize::from(byte == b'.');
        before = byte;
    }
    sound && dots > 0 && !name.is_empty() && !matches!(before, b'.' | b'-')
}

/// Without the white space around it: there is hardly ever any.
fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
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
    match first.map(trim).filter(|it| !it.is_empty()) {
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
            "a@x-.org",
            "a@x.-org",
            "a@x.org-",
            "a@x.org.",
            "a@x.org@",
            "a@example.org, b@example.org",
            "n/a",
        ] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    /// What an address is, told as plainly as can be.
    fn plainly(text: &str) -> Option<String> {
        let text = text.trim();
        let (name, domain) = text.split_once('@')?;
        let label = |it: &str| !it.is_empty() && !it.starts_with('-') && !it.ends_with('-');
        let strange = |it: char| it.is_whitespace() || it.is_control() || ",;<>\"()".contains(it);
        let sound = !name.is_empty()
            && domain.contains('.')
            && domain.split('.').all(label)
            && !domain.contains('@')
            && !text.contains(strange)
            && text.len() <= 254;
        sound.then(|| text.to_lowercase())
    }

    proptest::proptest! {
        #[test]
        fn finds_what_is_plainly_an_address(
            text in "[a-zA-Zé.-]{0,9}[@,\u{a0}]?[a-zA-ZÉ0-9.-]{0,9}@?[a-z]{0,9}([.-]|\\PC){0,2}[a-z]{0,3} ?"
        ) {
            proptest::prop_assert_eq!(email(&text).map(Cow::into_owned), plainly(&text));
        }
    }

    #[test]
    fn joins_names() {
        assert_eq!(full_name(Some("小"), "林"), "小 林");
        assert!(matches!(full_name(Some(" "), "Prince"), Cow::Borrowed("Prince")));
        assert!(matches!(full_name(None, "Prince"), Cow::Borrowed("Prince")));
    }
}
