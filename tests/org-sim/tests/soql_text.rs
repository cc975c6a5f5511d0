//! Reading SOQL: what is refused and how it says so, and that no text whatever upsets the parser.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::LazyLock;

use jiff::Timestamp;
use org_sim::org::{ApiError, Org, Sizes};
use org_sim::soql::ast::{At, Expr, Group, Item, Literal, Op, Order, Query, Test};
use org_sim::soql::parser::parse;
use proptest::collection::vec;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-03-18T12:00:00Z".parse().unwrap()
}

static ORG: LazyLock<Org> = LazyLock::new(|| {
    Org::new(1, &Sizes(vec![("Contact".to_owned(), 60), ("Account".to_owned(), 5)]), now())
});

fn error(soql: &str) -> ApiError {
    ORG.query(soql, false, now()).map(|rs| rs.total).unwrap_err()
}

#[test]
fn errors_read_as_salesforce_writes_them() {
    const COLUMN: &str = "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.";
    const OBJECT: &str = "is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.";
    let table = [
        ("select count() from XYZZY", "INVALID_TYPE", 21, format!("sObject type 'XYZZY' {OBJECT}")),
        ("SELECT Nope FROM Contact", "INVALID_FIELD", 8, format!("No such column 'Nope' on entity 'Contact'. {COLUMN}")),
        ("SELECT Id, Account.Nope FROM Contact", "INVALID_FIELD", 12, format!("No such column 'Nope' on entity 'Account'. {COLUMN}")),
        ("SELECT Id FROM Contact ORDER BY Nope", "INVALID_FIELD", 33, format!("No such column 'Nope' on entity 'Contact'. {COLUMN}")),
        ("SELECT Id, Name, ID FROM Contact", "INVALID_FIELD", 18, "duplicate field selected: Id".to_owned()),
        ("SELECT FIELDS(ALL), Id FROM Contact LIMIT 1", "INVALID_FIELD", 21, "duplicate field selected: Id".to_owned()),
        ("SELECT FIELDS(ALL) FROM Contact", "MALFORMED_QUERY", 8, "The SOQL FIELDS function must have a LIMIT of at most 200".to_owned()),
        ("SELECT Id FORM Contact", "MALFORMED_QUERY", 11, "unexpected token: 'FORM'".to_owned()),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY", 29, "unexpected token: '<EOF>'".to_owned()),
        ("SELECT Id FROM Contact WHERE Name = 'a' AND Title = 'b' OR Title = 'c'", "MALFORMED_QUERY", 57, "unexpected token: 'OR'".to_owned()),
        ("SELECT Id FROM Contact WHERE Name = 'a", "MALFORMED_QUERY", 39, "mismatched character '<EOF>' expecting '''".to_owned()),
        ("SELECT Id FROM Contact WHERE Name = 'a\\x'", "MALFORMED_QUERY", 39, "invalid string escape sequence".to_owned()),
        ("SELECT Id FROM Contact WHERE Name == 'a'", "MALFORMED_QUERY", 36, "unexpected token: '='".to_owned()),
        ("SELECT Id FROM Contact WHERE Birthdate = 2024-02-30", "MALFORMED_QUERY", 42, "unexpected token: '2024-02-30'".to_owned()),
        ("SELECT Id FROM Contact WHERE AccountId = 'somethingwonky'", "INVALID_QUERY_FILTER_OPERATOR", 30, "invalid ID field: somethingwonky".to_owned()),
        ("SELECT Id FROM Contact WHERE Id LIKE '003%'", "INVALID_QUERY_FILTER_OPERATOR", 30, "invalid operator on id field".to_owned()),
        ("SELECT Id FROM Contact WHERE DoNotCall > true", "INVALID_QUERY_FILTER_OPERATOR", 30, "invalid operator on boolean field".to_owned()),
        ("SELECT Id FROM Contact WHERE Name INCLUDES ('a')", "INVALID_QUERY_FILTER_OPERATOR", 30, "invalid operator on string field".to_owned()),
        ("SELECT Id FROM Contact WHERE Description = 'a'", "INVALID_FIELD", 30, "field 'Description' can not be filtered in a query call".to_owned()),
        ("SELECT Id FROM Contact WHERE MailingAddress = 'a'", "INVALID_FIELD", 30, "field 'MailingAddress' can not be filtered in a query call".to_owned()),
        ("SELECT Id FROM Contact ORDER BY Description", "INVALID_FIELD", 33, "field 'Description' can not be sorted in a query call".to_owned()),
        ("SELECT Id FROM Contact WHERE Name = 5", "INVALID_FIELD", 30, "value of filter criterion for field 'Name' must be of type string and should be enclosed in quotes".to_owned()),
        ("SELECT Id FROM Contact WHERE CreatedDate > 2024-01-01", "INVALID_FIELD", 30, "value of filter criterion for field 'CreatedDate' must be of type dateTime and should not be enclosed in quotes".to_owned()),
        ("SELECT Id FROM Contact WHERE Birthdate > 2024-01-01T00:00:00Z", "INVALID_FIELD", 30, "value of filter criterion for field 'Birthdate' must be of type date and should not be enclosed in quotes".to_owned()),
        ("SELECT Id FROM Contact WHERE Score__c = '5'", "INVALID_FIELD", 30, "value of filter criterion for field 'Score__c' must be of type double and should not be enclosed in quotes".to_owned()),
        ("SELECT Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", 31, "Maximum SOQL offset allowed is 2000".to_owned()),
        ("SELECT Id FROM Contact LIMIT 1 LIMIT 2", "MALFORMED_QUERY", 32, "unexpected token: 'LIMIT'".to_owned()),
    ];
    for (soql, code, column, message) in table {
        let expected = format!(
            "\n{soql}\n{}^\nERROR at Row:1:Column:{column}\n{message}",
            " ".repeat(column - 1)
        );
        let found = error(soql);
        if soql.len() <= 60 {
            assert_eq!(
                (found.status, found.code.as_str(), found.message.as_str()),
                (400, code, expected.as_str()),
                "{soql}"
            );
        } else {
            assert_eq!(found.code, code, "{soql}");
            assert!(
                found.message.ends_with(&format!("^\nERROR at Row:1:Column:{column}\n{message}")),
                "{soql}: {}",
                found.message
            );
        }
    }
    let relation = error("SELECT Foo.Name FROM Contact");
    assert!(
        relation.code == "INVALID_FIELD"
            && relation.message.contains("\nDidn't understand relationship 'Foo' in field path. "),
        "{relation}"
    );
    let second = error("SELECT Id\nFROM Contact\nWHERE Nöpe = 1");
    assert!(
        second.message.contains("ERROR at Row:3:Column:8\nno viable alternative at character 'ö'"),
        "{second}"
    );
    let long = error(&format!("SELECT Id FROM Contact WHERE Name = '{}'", "x".repeat(100_001)));
    assert_eq!(long.code, "MALFORMED_QUERY");
    assert_eq!(
        error(&format!("SELECT Id FROM Contact WHERE {}", "(".repeat(5_000))).code,
        "MALFORMED_QUERY"
    );
}

fn at<T>(it: T) -> At<T> {
    At { at: 0, it }
}

fn name() -> impl Strategy<Value = At<String>> {
    "X[a-z_0-9]{0,6}(\\.X[a-z]{1,4}){0,2}".prop_map(at)
}

fn scalar() -> impl Strategy<Value = At<Literal>> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        (-1_000_000_i32..1_000_000).prop_map(|number| Literal::Number(f64::from(number) / 128.0)),
        any::<String>().prop_map(Literal::Text),
        (1970_i16..2100, 1_i8..13, 1_i8..29)
            .prop_map(|(year, month, day)| Literal::Date(jiff::civil::date(year, month, day))),
        (0_i64..4_000_000_000_000)
            .prop_map(|ms| Literal::Time(Timestamp::from_millisecond(ms).unwrap())),
        Just(Literal::Named("THIS_MONTH".to_owned(), None)),
        (0_u32..5_000).prop_map(|n| Literal::Named("LAST_N_DAYS".to_owned(), Some(n))),
    ]
    .prop_map(at)
}

fn test() -> impl Strategy<Value = Expr> {
    let one = (
        name(),
        prop::sample::select(vec![Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::Like]),
        vec(scalar(), 1),
    );
    let many = (
        name(),
        prop::sample::select(vec![Op::In, Op::NotIn, Op::Includes, Op::Excludes]),
        vec(scalar(), 1..4),
    );
    prop_oneof![one, many].prop_map(|(path, op, with)| Expr::Test(Test { path, op: at(op), with }))
}

fn expression() -> impl Strategy<Value = Expr> {
    test().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expr::And),
            vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|term| Expr::Not(Box::new(term))),
        ]
    })
}

fn query() -> impl Strategy<Value = Query> {
    let item = prop_oneof![
        Just(at(Item::Count)),
        Just(at(Item::Fields(Group::Custom))),
        name().prop_map(|path| at(Item::Path(path.it)))
    ];
    let order = (name(), any::<bool>(), any::<bool>())
        .prop_map(|(path, descending, nulls_last)| Order { path, descending, nulls_last });
    (
        vec(item, 1..5),
        name(),
        prop::option::of("X[a-z]{1,3}"),
        prop::option::of(expression()),
        vec(order, 0..3),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
    )
        .prop_map(|(select, from, alias, filter, order, limit, offset)| Query {
            select,
            from,
            alias,
            filter,
            order,
            limit,
            offset: offset.map(at),
        })
}

/// Comparisons that mostly pass the checks: fields with literals of their type.
fn sound() -> impl Strategy<Value = Expr> {
    let ops = vec![Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::In, Op::NotIn];
    let stamp = (0_i64..1_200).prop_map(|day| {
        Literal::Time(Timestamp::from_second(1_679_000_000 + day * 80_000).unwrap())
    });
    let literal = prop_oneof![
        (
            Just("SystemModstamp"),
            prop_oneof![stamp, Just(Literal::Named("LAST_N_DAYS".to_owned(), Some(400)))]
        ),
        (
            Just("Id"),
            (0_u64..80).prop_map(|number| Literal::Text(
                ORG.truth("Contact").rows[number as usize % 60].0.clone()
            ))
        ),
        (
            Just("Title"),
            prop::sample::select(vec!["CFO", "owner/founder", "", "M"])
                .prop_map(|text| Literal::Text(text.to_owned()))
        ),
        (Just("Score__c"), (0_i32..100).prop_map(|number| Literal::Number(f64::from(number)))),
        (Just("Account.Rating"), Just(Literal::Null)),
        (Just("IsDeleted"), any::<bool>().prop_map(Literal::Bool)),
    ];
    let one = (literal, prop::sample::select(ops)).prop_map(|((field, literal), op)| {
        // Checkboxes are equal or not.
        let op = if matches!(literal, Literal::Bool(_)) && op != Op::Ne { Op::Eq } else { op };
        Expr::Test(Test { path: at(field.to_owned()), op: at(op), with: vec![at(literal)] })
    });
    one.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expr::And),
            vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|term| Expr::Not(Box::new(term))),
        ]
    })
}

proptest! {
    /// Every record is on one side of a filter, and no index or order changes which are found.
    #[test]
    fn a_filter_and_its_negation_share_the_records_out(filter in sound(), limit in 1_usize..70) {
        let ids = |soql: &str| -> Vec<String> {
            let rs = ORG.query(soql, true, now()).unwrap();
            let page: Vec<serde_json::Value> = serde_json::from_slice(&ORG.page(&rs, 0, 100, "58.0")).unwrap();
            page.iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect()
        };
        let found = ids(&format!("SELECT Id FROM Contact WHERE {filter}"));
        let others = ids(&format!("SELECT Id FROM Contact WHERE NOT ({filter})"));
        prop_assert_eq!(found.len() + others.len(), 60, "{}", filter);
        prop_assert!(found.is_sorted() && found.iter().all(|id| !others.contains(id)));
        for order in ["Id DESC", "SystemModstamp", "SystemModstamp DESC, Id DESC", "Title, Id"] {
            let mut ordered = ids(&format!("SELECT Id FROM Contact WHERE {filter} ORDER BY {order}"));
            let cut = ids(&format!("SELECT Id FROM Contact WHERE {filter} ORDER BY {order} LIMIT {limit}"));
            prop_assert_eq!(&ordered[..limit.min(ordered.len())], cut.as_slice());
            ordered.sort_unstable();
            prop_assert_eq!(&ordered, &found, "{} {}", filter, order);
        }
    }

    #[test]
    fn a_printed_query_reads_back_as_itself(query in query()) {
        let text = query.to_string();
        prop_assert_eq!(parse(&text), Ok(query), "{}", text);
    }

    #[test]
    fn any_text_is_answered_without_a_panic(soql in "\\PC{0,80}") {
        let answer = parse(&soql);
        prop_assert!(answer.is_ok() || answer.is_err_and(|error| error.status == 400));
    }

    #[test]
    fn any_words_of_soql_are_answered_without_a_panic(words in vec(prop_oneof![
        Just("SELECT"), Just("Id"), Just("FROM"), Just("Contact"), Just("WHERE"), Just("("), Just(")"), Just(","), Just("AND"), Just("OR"), Just("NOT"), Just("IN"),
        Just("="), Just("<"), Just("LIKE"), Just("'a%\\_'"), Just("null"), Just("1.5"), Just("2024-01-01"), Just("2024-01-01T00:00:00Z"), Just("LAST_N_DAYS"), Just(":"), Just("7"),
        Just("TODAY"), Just("ORDER BY"), Just("NULLS"), Just("LAST"), Just("LIMIT"), Just("OFFSET"), Just("COUNT()"), Just("FIELDS(ALL)"), Just("Account.Name"), Just("CreatedDate"),
    ], 0..24)) {
        let soql = words.join(" ");
        if let Ok(rs) = ORG.query(&soql, true, now()) {
            prop_assert!(rs.total <= 60);
        }
        let soql = format!("SELECT Id FROM Contact WHERE {soql}");
        if let Ok(query) = parse(&soql) {
            prop_assert_eq!(parse(&query.to_string()), Ok(query));
        }
    }
}
