//! Query text to tokens.

use jiff::{Timestamp, civil::Date};
use winnow::ascii::multispace0;
use winnow::combinator::{alt, dispatch, empty, fail, opt, peek, preceded, repeat};
use winnow::error::{ContextError, ErrMode};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any, literal, one_of, take, take_while};

use super::ast::At;
use super::fault;
use crate::org::ApiError;

/// Stands for `\_` in text until LIKE has seen it: a noncharacter, so that no record holds it.
pub const UNDERSCORE: &str = "\u{fdd0}";
/// Stands for `\%` likewise.
pub const PERCENT: &str = "\u{fdd1}";

/// One token of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A keyword or a name, with dots.
    Word(String),
    /// Text between single quotes, escapes resolved; `\_` and `\%` are [`UNDERSCORE`] and [`PERCENT`].
    Text(String),
    /// A number, as written and as read.
    Number(String, f64),
    /// A date.
    Date(Date),
    /// A moment.
    Time(Timestamp),
    /// An operator or a punctuation mark.
    Sign(&'static str),
    /// The end of the query.
    End,
}

impl Token {
    /// The token as errors show it.
    pub fn shown(&self) -> String {
        match self {
            Token::Word(text) | Token::Number(text, _) => text.clone(),
            Token::Text(text) => text.replace(UNDERSCORE, "_").replace(PERCENT, "%"),
            Token::Date(date) => date.to_string(),
            Token::Time(time) => time.to_string(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::End => "<EOF>".to_owned(),
        }
    }
}

type Input<'s> = LocatingSlice<&'s str>;

/// The tokens of a query with the byte where each begins; the last is the end.
pub fn tokens(soql: &str) -> Result<Vec<At<Token>>, ApiError> {
    let mut input = LocatingSlice::new(soql);
    let mut out = Vec::new();
    loop {
        let blank: ModalResult<&str> = multispace0.parse_next(&mut input);
        let at = input.current_token_start();
        if blank.is_err() || input.is_empty() {
            out.push(At { at: soql.len(), it: Token::End });
            return Ok(out);
        }
        match token(&mut input) {
            Ok(it) => out.push(At { at, it }),
            Err(_) => return Err(stuck(soql, at, input.current_token_start())),
        }
    }
}

/// The error for text that no token begins with, or for a string that does not end.
fn stuck(soql: &str, at: usize, reached: usize) -> ApiError {
    let rest = &soql[at..];
    if rest.starts_with('\'') {
        return match soql[reached..].chars().next() {
            None => fault(
                soql,
                soql.len(),
                "MALFORMED_QUERY",
                "mismatched character '<EOF>' expecting '''",
            ),
            Some('\\') => fault(soql, reached, "MALFORMED_QUERY", "invalid string escape sequence"),
            Some(c) => fault(
                soql,
                reached,
                "MALFORMED_QUERY",
                &format!("mismatched character '{}' expecting '''", c.escape_default()),
            ),
        };
    }
    if rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let written: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "+-:.".contains(*c)).collect();
        return fault(soql, at, "MALFORMED_QUERY", &format!("unexpected token: '{written}'"));
    }
    let c = rest.chars().next().unwrap_or_default();
    fault(soql, at, "MALFORMED_QUERY", &format!("no viable alternative at character '{c}'"))
}

fn token(input: &mut Input<'_>) -> ModalResult<Token> {
    dispatch! { peek(any);
        '\'' => text,
        '0'..='9' | '+' | '-' | '.' => number,
        'a'..='z' | 'A'..='Z' | '_' => word,
        _ => sign,
    }
    .parse_next(input)
}

fn sign(input: &mut Input<'_>) -> ModalResult<Token> {
    fn exact<'s>(
        sign: &'static str,
    ) -> impl Parser<Input<'s>, &'static str, ErrMode<ContextError>> {
        literal(sign).value(sign)
    }
    let compare = alt((
        exact("<="),
        exact(">="),
        literal("<>").value("!="),
        exact("!="),
        exact("="),
        exact("<"),
        exact(">"),
    ));
    alt((compare, exact("("), exact(")"), exact(","), exact(":")))
        .map(Token::Sign)
        .parse_next(input)
}

fn name<'s>(input: &mut Input<'s>) -> ModalResult<&'s str> {
    (one_of(('a'..='z', 'A'..='Z', '_')), take_while(0.., ('a'..='z', 'A'..='Z', '0'..='9', '_')))
        .take()
        .parse_next(input)
}

fn word(input: &mut Input<'_>) -> ModalResult<Token> {
    (name, repeat::<_, _, (), _, _>(0.., preceded('.', name)))
        .take()
        .map(|text: &str| Token::Word(text.to_owned()))
        .parse_next(input)
}

/// Numbers, dates and moments begin alike; what is not whole is refused rather than cut in two.
fn number(input: &mut Input<'_>) -> ModalResult<Token> {
    let written =
        take_while(1.., ('0'..='9', 'a'..='z', 'A'..='Z', '+', '-', ':', '.')).parse_next(input)?;
    read_number(written).ok_or_else(|| ErrMode::Backtrack(ContextError::new()))
}

fn read_number(written: &str) -> Option<Token> {
    let dashed = written.as_bytes().get(4) == Some(&b'-');
    if dashed && written.len() == 10 {
        return written.parse().ok().map(Token::Date);
    }
    if dashed && written.contains(['T', 't']) {
        return written.parse().ok().map(Token::Time);
    }
    let plain = written
        .bytes()
        .enumerate()
        .all(|(i, c)| c.is_ascii_digit() || c == b'.' || i == 0 && (c == b'-' || c == b'+'));
    let number: f64 = written.parse().ok()?;
    plain.then(|| Token::Number(written.to_owned(), number))
}

fn text(input: &mut Input<'_>) -> ModalResult<Token> {
    '\''.parse_next(input)?;
    let mut out = String::new();
    loop {
        let plain: &str =
            take_while(0.., |c: char| !matches!(c, '\'' | '\\' | '\n' | '\r')).parse_next(input)?;
        out.push_str(plain);
        if opt('\'').parse_next(input)?.is_some() {
            return Ok(Token::Text(out));
        }
        escape(input, &mut out)?;
    }
}

/// One escape; the position stays before it when it is not a known one.
fn escape(input: &mut Input<'_>, out: &mut String) -> ModalResult<()> {
    let simple = dispatch! { preceded('\\', any);
        'n' | 'N' => empty.value("\n"),
        'r' | 'R' => empty.value("\r"),
        't' | 'T' => empty.value("\t"),
        'b' | 'B' => empty.value("\u{8}"),
        'f' | 'F' => empty.value("\u{c}"),
        '"' => empty.value("\""),
        '\'' => empty.value("'"),
        '\\' => empty.value("\\"),
        '_' => empty.value(UNDERSCORE),
        '%' => empty.value(PERCENT),
        _ => fail,
    }
    .map(str::to_owned);
    let unicode = preceded("\\u", take(4_usize))
        .verify_map(|hex: &str| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32))
        .map(String::from);
    out.push_str(&alt((simple, unicode)).parse_next(input)?);
    Ok(())
}
