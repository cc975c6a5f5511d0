//! What both forms of an answer have to obey.

use std::sync::Arc;

use crate::model::{Outcome, Output, Rejection};
use crate::plugin::fault::{Fault, size};
use crate::plugin::limits::Limits;
use crate::plugin::pieces::Piece;
use crate::plugin::text::{clean, is_json, push_json};

/// A key, in bytes.
const KEY: usize = 512;
/// A plugin's own code, in bytes.
const CODE: usize = 64;
/// A reason or message that is kept, in bytes.
const REASON: usize = 1 << 10;

/// A kind of output that a plugin declares, prepared for composing bodies.
#[derive(Debug, Clone)]
pub(in crate::plugin) struct Kind {
    pub(in crate::plugin) name: Arc<str>,
    pub(in crate::plugin) fields: Vec<String>,
    /// What stands before the values.
    pub(in crate::plugin) heads: Vec<Head>,
    /// What a body takes beside its values, in bytes, at most.
    pub(in crate::plugin) frame: usize,
    /// Its only declared field is `*`: the author makes the whole body.
    pub(in crate::plugin) open: bool,
}

/// What stands before a value of a body: `{"first":`, `,"second":` and so on, and the quotes of texts with them, so that
/// a value is put down in two pieces.
#[derive(Debug, Clone)]
pub(in crate::plugin) struct Head {
    /// By whether the value before is a text, and then whether this one is.
    forms: [[Piece; 2]; 2],
}

impl Head {
    fn new(first: bool, field: &str) -> Self {
        let mut plain = String::from(if first { "{" } else { "," });
        push_json(&mut plain, field);
        plain.push(':');
        let form = |before: &str, after: &str| Piece::new(format!("{before}{plain}{after}"));
        Self { forms: [[form("", ""), form("", "\"")], [form("\"", ""), form("\"", "\"")]] }
    }

    /// The head of a value behind a text or none; a text brings its first quote with it, and leaves its last one to the next.
    #[inline]
    pub(in crate::plugin) fn form(&self, behind_text: bool, text: bool) -> &Piece {
        &self.forms[usize::from(behind_text)][usize::from(text)]
    }
}

impl Kind {
    pub(in crate::plugin) fn new(name: &str, fields: &[String]) -> Self {
        let head = |(i, field): (usize, &String)| Head::new(i == 0, field);
        let heads: Vec<Head> = fields.iter().enumerate().map(head).collect();
        Self {
            name: name.into(),
            fields: fields.to_vec(),
            frame: heads.iter().map(|head| head.form(true, true).as_str().len()).sum::<usize>() + 2,
            heads,
            open: fields == ["*"],
        }
    }

    /// What ends a body, behind a text or none.
    pub(in crate::plugin) fn tail(&self, behind_text: bool) -> &'static str {
        match (self.heads.is_empty(), behind_text) {
            (true, _) => "{}",
            (false, true) => "\"}",
            (false, false) => "}",
        }
    }

    /// The body of an open kind.
    pub(in crate::plugin) fn open_body<'a>(&self, text: &'a str) -> Result<&'a str, String> {
        let text = text.trim();
        if !text.starts_with('{') || !is_json(text) {
            return Err(format!("the body of '{}' is not a JSON object", self.name));
        }
        Ok(text)
    }
}

/// What an answer may hold.
#[derive(Debug, Clone, Copy)]
pub(in crate::plugin) struct Sizes {
    body: usize,
    total: usize,
}

impl Sizes {
    pub(in crate::plugin) fn new(limits: &Limits) -> Self {
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        // An answer may name a text of the batch many times, so that what is composed is bounded by itself; and spans tell
        // places in the first 4 GiB.
        let total = limits.result_bytes.saturating_mul(4).min(u64::from(u32::MAX));
        Self { body: bytes(limits.body_bytes), total: bytes(total) }
    }

    /// Whether all that is composed may be so long.
    pub(in crate::plugin) fn check(self, composed: usize) -> Result<(), Fault> {
        if composed > self.total { Err(Fault::TooLarge(self.total as u64)) } else { Ok(()) }
    }

    /// Whether a body of this kind may be so long.
    pub(in crate::plugin) fn check_body(self, kind: &str, len: usize) -> Result<(), String> {
        if len > self.body {
            let most = size(self.body as u64);
            return Err(format!("an output '{kind}' has a body of more than {most}"));
        }
        Ok(())
    }
}

/// The outcomes of a batch as they come.
pub(in crate::plugin) struct Answer {
    outcomes: Vec<Option<Outcome>>,
    sizes: Sizes,
    left: usize,
}

impl Answer {
    pub(in crate::plugin) fn new(records: usize, sizes: Sizes) -> Self {
        Self { outcomes: vec![None; records], sizes, left: sizes.total }
    }

    /// One more output of a record; what is wrong with it fails the record.
    pub(in crate::plugin) fn mapped(
        &mut self,
        index: usize,
        output: Result<Output, String>,
    ) -> Result<(), Fault> {
        let output = match output.and_then(|output| self.checked(output)) {
            Ok(output) => output,
            Err(reason) => {
                self.invalid(index, &reason);
                return Ok(());
            }
        };
        self.left = self
            .left
            .checked_sub(output.body.len() + output.key.len())
            .ok_or(Fault::TooLarge(self.sizes.total as u64))?;
        let mut broken = None;
        match self.outcomes.get_mut(index) {
            Some(none @ None) => *none = Some(Outcome::Mapped(vec![output])),
            Some(Some(Outcome::Mapped(outputs))) => {
                if outputs.iter().any(|other| other.key == output.key && other.kind == output.kind)
                {
                    broken = Some(format!("it has two outputs '{}' of one key", output.kind));
                } else {
                    outputs.push(output);
                }
            }
            _ => broken = Some(mixed()),
        }
        if let Some(reason) = broken {
            self.invalid(index, &reason);
        }
        Ok(())
    }

    /// A record without any output.
    pub(in crate::plugin) fn nothing(&mut self, index: usize) {
        self.only(index, Outcome::Mapped(Vec::new()));
    }

    /// A record that was left out.
    pub(in crate::plugin) fn skipped(&mut self, index: usize, reason: &str) {
        self.only(index, Outcome::Skipped(clean(reason, REASON)));
    }

    /// A record that was refused.
    pub(in crate::plugin) fn failed(
        &mut self,
        index: usize,
        code: &str,
        message: &str,
        field: Option<&str>,
    ) {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let outcome = if code.is_empty() || code.len() > CODE || !code.bytes().all(plain) {
            let reason = format!(
                "the code '{}' is not 1 to 64 letters, digits, '.', '_' or '-'; it came with: {}",
                clean(code, CODE),
                clean(message, REASON)
            );
            Outcome::Failed(invalid(&reason))
        } else {
            Outcome::Failed(Rejection {
                code: code.to_owned(),
                message: clean(message, REASON),
                field: field.filter(|field| !field.is_empty()).map(|field| clean(field, 255)),
            })
        };
        self.only(index, outcome);
    }

    /// A record whose answer is none: it fails, whatever else is said of it.
    pub(in crate::plugin) fn invalid(&mut self, index: usize, reason: &str) {
        if let Some(outcome) = self.outcomes.get_mut(index) {
            *outcome = Some(Outcome::Failed(invalid(reason)));
        }
    }

    /// All outcomes, in order; records without one fail.
    pub(in crate::plugin) fn finish(self) -> Vec<Outcome> {
        let missing = || Outcome::Failed(invalid("it gave no answer for this record"));
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect()
    }

    fn only(&mut self, index: usize, outcome: Outcome) {
        match self.outcomes.get_mut(index) {
            Some(none @ None) => *none = Some(outcome),
            Some(_) => self.invalid(index, &mixed()),
            None => {}
        }
    }

    fn checked(&self, output: Output) -> Result<Output, String> {
        let kind = &output.kind;
        if output.key.is_empty() {
            return Err(format!("an output '{kind}' has an empty key"));
        }
        if output.key.len() > KEY {
            return Err(format!("an output '{kind}' has a key of more than {}", size(KEY as u64)));
        }
        let plain = |byte| matches!(byte, b' '..=b'~');
        if !output.key.bytes().all(plain) && output.key.chars().any(char::is_control) {
            return Err(format!("an output '{kind}' has a control character in its key"));
        }
        self.sizes.check_body(kind, output.body.len())?;
        Ok(output)
    }
}

fn mixed() -> String {
    String::from("it gave more than one verdict for this record")
}

fn invalid(reason: &str) -> Rejection {
    Fault::Invalid(clean(reason, REASON)).rejection()
}
