//! Whether a text can stand as a condition between the parentheses of a WHERE clause.

use std::ops::Range;

/// What is wrong with a condition, where in it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place, in bytes of the condition.
    pub at: Range<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Open,
    Close,
    Other(char),
    Text,
}

/// Looks for what would change the query around the condition rather than narrow it; the org judges the rest.
pub fn check(filter: &str) -> Result<(), Fault> {
    let tokens = tokens(filter)?;
    if tokens.is_empty() {
        return Err(fault(0..filter.len(), "is empty", "leave the key out to take every record"));
    }
    let mut open = Vec::new();
    for (i, (token, at)) in tokens.iter().enumerate() {
        match token {
            Token::Open => open.push(at.clone()),
            Token::Close if open.pop().is_none() => {
                return Err(fault(
                    at.clone(),
                    "closes a parenthesis that was not opened",
                    "balance the parentheses",
                ));
            }
            Token::Other(';') => {
                return Err(fault(at.clone(), "has a ';'", "write one condition, without ';'"));
            }
            Token::Word(word) if open.is_empty() => {
                let next = tokens.get(i + 1).map(|(token, _)| *token);
                if let Some((what, cure)) = clause(word, next, i == 0) {
                    return Err(fault(at.clone(), &what, cure));
                }
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(at) => {
            Err(fault(at, "opens a parenthesis that is not closed", "balance the parentheses"))
        }
        None => Ok(()),
    }
}

fn fault(at: Range<usize>, what: &str, cure: &'static str) -> Fault {
    Fault { at, what: what.to_owned(), cure }
}

/// Whether `word` begins a clause that cannot stand in a condition; relationships such as `Order.Status` do not.
fn clause(word: &str, next: Option<Token<'_>>, first: bool) -> Option<(String, &'static str)> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let then = |names: &[&str]| matches!(next, Some(Token::Word(next)) if names.iter().any(|name| next.eq_ignore_ascii_case(name)));
    let number =
        || matches!(next, Some(Token::Word(next)) if next.bytes().all(|c| c.is_ascii_digit()));
    let ours = "leave it out: kilofold orders and cuts its queries itself";
    let found = if is("order") && then(&["by"]) {
        "ORDER BY"
    } else if is("limit") && number() {
        "LIMIT"
    } else if is("offset") && number() {
        "OFFSET"
    } else if is("group") && then(&["by"]) {
        return Some(("has GROUP BY".into(), "leave it out: whole records are pulled"));
    } else if is("having") {
        return Some(("has HAVING".into(), "leave it out: whole records are pulled"));
    } else if is("for") && then(&["view", "reference", "update"]) {
        "FOR"
    } else if is("with") && matches!(next, Some(Token::Word(_))) {
        "WITH"
    } else if is("all") && then(&["rows"]) {
        "ALL ROWS"
    } else if first && is("where") {
        return Some(("begins with WHERE".into(), "write the condition only"));
    } else if first && is("select") {
        return Some(("is a whole query".into(), "write the condition of its WHERE clause only"));
    } else {
        return None;
    };
    Some((format!("has {found}"), ours))
}

fn tokens(filter: &str) -> Result<Vec<(Token<'_>, Range<usize>)>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = filter.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        let word = |c: char| c.is_alphanumeric() || "_.:+-".contains(c);
        let token = match c {
            '\'' => {
                let mut closed = false;
                while let Some((_, c)) = rest.next() {
                    match c {
                        '\\' => drop(rest.next()),
                        '\'' => {
                            closed = true;
                            break;
                        }
                        _ => {}
                    }
                }
                if !closed {
                    return Err(fault(
                        start..filter.len(),
                        "has a quote that is not closed",
                        "close the text with ' and write a quote inside a text as \\'",
                    ));
                }
                Token::Text
            }
            '(' => Token::Open,
            ')' => Token::Close,
            c if c.is_whitespace() => continue,
            c if word(c) => {
                while rest.peek().is_some_and(|(_, c)| word(*c)) {
                    rest.next();
                }
                let end = rest.peek().map_or(filter.len(), |(at, _)| *at);
                Token::Word(filter.get(start..end).unwrap_or_default())
            }
            c => Token::Other(c),
        };
        let end = rest.peek().map_or(filter.len(), |(at, _)| *at);
        tokens.push((token, start..end));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_conditions() {
        for filter in [
            "IsActive__c = true",
            "Name = 'ORDER BY; (' AND Limit__c > 3",
            "Order.Status = 'x' and Group.Name LIKE 'it\\'s%'",
            "Id IN (SELECT ContactId FROM CampaignMember WHERE X = 1 LIMIT 5)",
            "(A = 1 OR B = 2) AND CreatedDate > 2024-01-01T00:00:00Z",
            "CreatedDate = LAST_N_DAYS:30",
        ] {
            assert_eq!(check(filter), Ok(()), "{filter}");
        }
    }

    #[test]
    fn refuses_what_is_more_than_a_condition() {
        for (filter, what) in [
            ("", "is empty"),
            ("  ", "is empty"),
            ("A = 1 order by Name", "has ORDER BY"),
            ("A = 1 LIMIT 5", "has LIMIT"),
            ("A = 1; DROP", "has a ';'"),
            ("A = 1) OR (B = 2", "closes a parenthesis that was not opened"),
            ("(A = 1", "opens a parenthesis that is not closed"),
            ("Name = 'x", "has a quote that is not closed"),
            ("Name = 'x\\'", "has a quote that is not closed"),
            ("WHERE A = 1", "begins with WHERE"),
            ("SELECT Id FROM Contact", "is a whole query"),
            ("A = 1 GROUP BY Name", "has GROUP BY"),
            ("A = 1 ALL ROWS", "has ALL ROWS"),
        ] {
            assert_eq!(check(filter).unwrap_err().what, what, "{filter}");
        }
    }

    proptest::proptest! {
        // What passes cannot leave the parentheses that it is put into.
        #[test]
        fn stays_inside(filter in "[A-C='\\\\ ();x]{0,40}") {
            if check(&filter).is_ok() {
                let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
                for c in filter.chars() {
                    if escaped { escaped = false; continue; }
                    match c {
                        '\\' if quoted => escaped = true,
                        '\'' => quoted = !quoted,
                        '(' if !quoted => depth += 1,
                        ')' if !quoted => depth -= 1,
                        _ => {}
                    }
                    proptest::prop_assert!(depth >= 0);
                }
                proptest::prop_assert!(depth == 0 && !quoted);
            }
        }

        #[test]
        fn faults_lie_in_the_text(filter in ".{0,60}") {
            if let Err(fault) = check(&filter) {
                proptest::prop_assert!(filter.get(fault.at).is_some());
            }
        }
    }
}
