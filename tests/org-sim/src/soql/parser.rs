//! Tokens to a query.

use winnow::combinator::{alt, cut_err, delimited, opt, preceded, separated, terminated};
use winnow::error::{ErrMode, ParserError};
use winnow::prelude::*;
use winnow::stream::{Stream, TokenSlice};
use winnow::token::any;

use super::ast::{At, Expr, Group, Item, Literal, Op, Order, Query, Test};
use super::lexer::{Token, tokens};
use super::{dates, fault};
use crate::org::ApiError;

/// Parentheses deeper than this are refused; Salesforce refuses long before.
const DEEPEST: usize = 100;
/// A longer query is refused.
const LONGEST: usize = 100_000;

type Tokens<'t> = TokenSlice<'t, At<Token>>;
type Parsed<O> = Result<O, ErrMode<Trouble>>;

/// Where parsing stopped, counted in tokens from the end, and why if it is not the token itself.
#[derive(Debug, Clone)]
struct Trouble {
    left: usize,
    message: Option<&'static str>,
}

impl<'t> ParserError<Tokens<'t>> for Trouble {
    type Inner = Self;

    fn from_input(input: &Tokens<'t>) -> Self {
        Trouble { left: input.eof_offset(), message: None }
    }

    fn or(self, other: Self) -> Self {
        // The branch that came furthest knows best.
        if self.left < other.left { self } else { other }
    }

    fn into_inner(self) -> Result<Self::Inner, Self> {
        Ok(self)
    }
}

/// Reads a query; errors have Salesforce's code, message and position.
pub fn parse(soql: &str) -> Result<Query, ApiError> {
    if soql.chars().count() > LONGEST {
        return Err(ApiError::bad(
            "MALFORMED_QUERY",
            format!("SOQL statements cannot be longer than {LONGEST} characters."),
        ));
    }
    let tokens = tokens(soql)?;
    let mut depth = 0_usize;
    for token in &tokens {
        match token.it {
            Token::Sign("(") => depth += 1,
            Token::Sign(")") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(fault(soql, token.at, "MALFORMED_QUERY", "unexpected token: '('"));
        }
    }
    let mut input = TokenSlice::new(&tokens);
    query(&mut input).map_err(|error| {
        let trouble = match error {
            ErrMode::Backtrack(trouble) | ErrMode::Cut(trouble) => trouble,
            ErrMode::Incomplete(_) => Trouble { left: 1, message: None },
        };
        let place = tokens.len().saturating_sub(trouble.left).min(tokens.len() - 1);
        let token = &tokens[place];
        match trouble.message {
            Some(message) => fault(soql, token.at, "MALFORMED_QUERY", message),
            None => fault(
                soql,
                token.at,
                "MALFORMED_QUERY",
                &format!("unexpected token: '{}'", token.it.shown()),
            ),
        }
    })
}

fn query(input: &mut Tokens<'_>) -> Parsed<Query> {
    let select = preceded(keyword("SELECT"), separated(1.., item, sign(","))).parse_next(input)?;
    let from = preceded(keyword("FROM"), word).parse_next(input)?;
    let alias = opt(alt((preceded(keyword("AS"), alias), alias))).parse_next(input)?;
    let filter = opt(preceded(keyword("WHERE"), cut_err(expression))).parse_next(input)?;
    let order = opt(preceded(
        keyword("ORDER"),
        cut_err(preceded(keyword("BY"), separated(1.., order, sign(",")))),
    ))
    .parse_next(input)?;
    let limit = opt(preceded(keyword("LIMIT"), cut_err(count))).parse_next(input)?;
    let offset = opt(preceded(keyword("OFFSET"), cut_err(count))).parse_next(input)?;
    token(|token| (*token == Token::End).then_some(())).parse_next(input)?;
    Ok(Query {
        select,
        from,
        alias: alias.map(|alias| alias.it),
        filter,
        order: order.unwrap_or_default(),
        limit: limit.map(|limit| limit.it),
        offset,
    })
}

/// A token that the function accepts; the input stays before it otherwise.
fn token<'t, O>(
    accept: impl Fn(&Token) -> Option<O>,
) -> impl Parser<Tokens<'t>, At<O>, ErrMode<Trouble>> {
    move |input: &mut Tokens<'t>| {
        let start = input.checkpoint();
        let found = any
            .verify_map(|token: &At<Token>| accept(&token.it).map(|it| At { at: token.at, it }))
            .parse_next(input);
        if found.is_err() {
            input.reset(&start);
            return Err(ErrMode::Backtrack(Trouble::from_input(input)));
        }
        found
    }
}

fn keyword<'t>(wanted: &'static str) -> impl Parser<Tokens<'t>, At<()>, ErrMode<Trouble>> {
    token(move |token| {
        matches!(token, Token::Word(text) if text.eq_ignore_ascii_case(wanted)).then_some(())
    })
}

fn sign<'t>(wanted: &'static str) -> impl Parser<Tokens<'t>, At<()>, ErrMode<Trouble>> {
    token(move |token| (*token == Token::Sign(wanted)).then_some(()))
}

fn word(input: &mut Tokens<'_>) -> Parsed<At<String>> {
    token(|token| match token {
        Token::Word(text) if !reserved(text) => Some(text.clone()),
        _ => None,
    })
    .parse_next(input)
}

/// Words that cannot be fields or aliases.
fn reserved(text: &str) -> bool {
    const RESERVED: [&str; 17] = [
        "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IN", "LIKE", "INCLUDES", "EXCLUDES",
        "ORDER", "LIMIT", "OFFSET", "NULL", "TRUE", "FALSE", "AS",
    ];
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn alias(input: &mut Tokens<'_>) -> Parsed<At<String>> {
    word.verify(|word: &At<String>| {
        let clause = ["USING", "WITH", "FOR", "ALL", "UPDATE", "GROUP", "HAVING"]
            .iter()
            .any(|clause| clause.eq_ignore_ascii_case(&word.it));
        !clause && !word.it.contains('.')
    })
    .parse_next(input)
}

fn item(input: &mut Tokens<'_>) -> Parsed<At<Item>> {
    let count = (keyword("COUNT"), sign("("), sign(")"))
        .map(|(count, ..)| At { at: count.at, it: Item::Count });
    let group = alt((
        keyword("ALL").value(Group::All),
        keyword("STANDARD").value(Group::Standard),
        keyword("CUSTOM").value(Group::Custom),
    ));
    let fields = (keyword("FIELDS"), sign("("), cut_err(terminated(group, sign(")"))))
        .map(|(fields, _, group)| At { at: fields.at, it: Item::Fields(group) });
    alt((count, fields, word.map(|path| At { at: path.at, it: Item::Path(path.it) })))
        .parse_next(input)
}

fn count(input: &mut Tokens<'_>) -> Parsed<At<u64>> {
    token(|token| match token {
        Token::Number(written, _) => written.parse().ok(),
        _ => None,
    })
    .parse_next(input)
}

fn order(input: &mut Tokens<'_>) -> Parsed<Order> {
    let path = word.parse_next(input)?;
    let descending = opt(alt((keyword("ASC").value(false), keyword("DESC").value(true))))
        .parse_next(input)?
        .unwrap_or_default();
    let nulls = opt(preceded(
        keyword("NULLS"),
        cut_err(alt((keyword("FIRST").value(false), keyword("LAST").value(true)))),
    ))
    .parse_next(input)?;
    Ok(Order { path, descending, nulls_last: nulls.unwrap_or_default() })
}

/// Conditions joined by AND alone, by OR alone, or one negation: mixing wants parentheses, as in Salesforce.
fn expression(input: &mut Tokens<'_>) -> Parsed<Expr> {
    if opt(keyword("NOT")).parse_next(input)?.is_some() {
        return cut_err(condition).map(|term| Expr::Not(Box::new(term))).parse_next(input);
    }
    let first = condition.parse_next(input)?;
    let mut terms = vec![first];
    let or = opt(keyword("AND")).parse_next(input)?.is_none();
    if or && opt(keyword("OR")).parse_next(input)?.is_none() {
        return Ok(terms.swap_remove(0));
    }
    let rest: Vec<Expr> =
        cut_err(separated(1.., condition, keyword(if or { "OR" } else { "AND" })))
            .parse_next(input)?;
    terms.extend(rest);
    Ok(if or { Expr::Or(terms) } else { Expr::And(terms) })
}

fn condition(input: &mut Tokens<'_>) -> Parsed<Expr> {
    alt((delimited(sign("("), cut_err(expression), cut_err(sign(")"))), test.map(Expr::Test)))
        .parse_next(input)
}

fn test(input: &mut Tokens<'_>) -> Parsed<Test> {
    let path = word.parse_next(input)?;
    let not_in =
        (keyword("NOT"), cut_err(keyword("IN"))).map(|(not, _)| At { at: not.at, it: Op::NotIn });
    let op = cut_err(alt((token(operator), not_in))).parse_next(input)?;
    let with = if matches!(op.it, Op::In | Op::NotIn | Op::Includes | Op::Excludes) {
        cut_err(delimited(sign("("), separated(1.., literal, sign(",")), sign(")")))
            .parse_next(input)?
    } else {
        vec![cut_err(literal).parse_next(input)?]
    };
    Ok(Test { path, op, with })
}

fn operator(token: &Token) -> Option<Op> {
    match token {
        Token::Sign("=") => Some(Op::Eq),
        Token::Sign("!=") => Some(Op::Ne),
        Token::Sign("<") => Some(Op::Lt),
        Token::Sign("<=") => Some(Op::Le),
        Token::Sign(">") => Some(Op::Gt),
        Token::Sign(">=") => Some(Op::Ge),
        Token::Word(word) => match word.to_ascii_uppercase().as_str() {
            "LIKE" => Some(Op::Like),
            "IN" => Some(Op::In),
            "INCLUDES" => Some(Op::Includes),
            "EXCLUDES" => Some(Op::Excludes),
            _ => None,
        },
        _ => None,
    }
}

fn literal(input: &mut Tokens<'_>) -> Parsed<At<Literal>> {
    let start = input.checkpoint();
    let found = token(|token| match token {
        Token::Text(text) => Some(Literal::Text(text.clone())),
        Token::Number(_, number) => Some(Literal::Number(*number)),
        Token::Date(date) => Some(Literal::Date(*date)),
        Token::Time(time) => Some(Literal::Time(*time)),
        Token::Word(word) if word.eq_ignore_ascii_case("null") => Some(Literal::Null),
        Token::Word(word) if word.eq_ignore_ascii_case("true") => Some(Literal::Bool(true)),
        Token::Word(word) if word.eq_ignore_ascii_case("false") => Some(Literal::Bool(false)),
        Token::Word(word) => {
            dates::known(word).map(|_| Literal::Named(word.to_ascii_uppercase(), None))
        }
        _ => None,
    })
    .parse_next(input)?;
    let Literal::Named(name, _) = found.it else {
        return Ok(found);
    };
    let wants = dates::known(&name).unwrap_or_default();
    let count = if wants {
        let number = cut_err(preceded(sign(":"), count)).parse_next(input)?;
        let Ok(number) = u32::try_from(number.it) else {
            input.reset(&start);
            return Err(ErrMode::Cut(Trouble {
                left: input.eof_offset(),
                message: Some("number outside valid range"),
            }));
        };
        Some(number)
    } else {
        None
    };
    Ok(At { at: found.at, it: Literal::Named(name, count) })
}
