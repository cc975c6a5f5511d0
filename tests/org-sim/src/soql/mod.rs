//! SOQL: text to tokens, tokens to a query, a query to checked plans, plans to row numbers.

pub mod ast;
pub mod check;
pub mod dates;
pub mod filter;
pub mod lexer;
pub mod parser;
pub mod run;

pub use run::ResultSet;

use crate::org::ApiError;

/// How much of the query the snippet of an error shows on either side of the fault.
const AROUND: usize = 60;

/// A fault at a byte of the query, in Salesforce's shape: snippet, caret, row and column, message.
pub(crate) fn fault(soql: &str, at: usize, code: &str, message: &str) -> ApiError {
    let at =
        (0..=at.min(soql.len())).rev().find(|at| soql.is_char_boundary(*at)).unwrap_or_default();
    let before = &soql[..at];
    let row = before.matches('\n').count() + 1;
    let line = before.rsplit('\n').next().unwrap_or_default();
    let column = line.chars().count() + 1;
    let lead: Vec<char> = before.chars().rev().take(AROUND).collect();
    let flat = |c: char| if c.is_control() { ' ' } else { c };
    let head: String = lead.iter().rev().copied().map(flat).collect();
    let tail: String = soql[at..].chars().take(AROUND).map(flat).collect();
    let caret = " ".repeat(lead.len());
    ApiError::bad(
        code,
        format!("\n{head}{tail}\n{caret}^\nERROR at Row:{row}:Column:{column}\n{message}"),
    )
}
