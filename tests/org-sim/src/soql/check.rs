//! A query against the schema: names resolved, types checked, a plan made.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::ast::{At, Expr, Group, Item, Literal, Op, Query, Test};
use super::filter::{Check, Cond, Hop, Leaf, Path, Pattern, midnight};
use super::lexer::{PERCENT, UNDERSCORE};
use super::{dates, fault};
use crate::data::id;
use crate::data::make::Make;
use crate::data::objects::{OBJECTS, find};
use crate::data::schema::{Class, Kind};
use crate::data::value::date_of;
use crate::org::{ApiError, Org, Table};
use crate::render::Node;

/// Parents of parents may be named to this depth.
const DEEPEST: usize = 5;
/// The largest OFFSET.
const FARTHEST: u64 = 2_000;
/// The largest LIMIT with FIELDS(ALL) or FIELDS(CUSTOM).
const UNBOUNDED: u64 = 200;
/// Fields that a record of unknown type has: the columns of the object `Name`.
const NAME_FIELDS: [&str; 9] =
    ["Id", "Name", "Type", "FirstName", "LastName", "Email", "Phone", "Title", "Alias"];

/// A query ready to run.
pub struct Plan {
    /// Position of the object.
    pub place: usize,
    /// `COUNT()`.
    pub count_only: bool,
    /// What to write of each record.
    pub select: Arc<Node>,
    /// The filter.
    pub filter: Option<Cond>,
    /// The order: field, descending, nulls last.
    pub order: Vec<(Path, bool, bool)>,
    /// LIMIT.
    pub limit: usize,
    /// OFFSET.
    pub offset: usize,
}

/// Checks a query against the schema as the integration user sees it.
pub fn check(org: &Org, soql: &str, query: &Query, now: Timestamp) -> Result<Plan, ApiError> {
    let from = &query.from;
    let unknown = || {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            from.it
        );
        fault(soql, from.at, "INVALID_TYPE", &message)
    };
    let place = find(&from.it).ok_or_else(unknown)?;
    let table = org.tables.get(place).ok_or_else(unknown)?;
    let scope = Scope { org, soql, table, alias: query.alias.as_deref(), now };
    let mut filter = query.filter.as_ref().map(|filter| scope.expression(filter)).transpose()?;
    if let Some(cond) = &mut filter {
        cond.settle();
    }
    let count_only = query.select.iter().any(|item| item.it == Item::Count);
    let few = query.limit.is_some_and(|limit| limit <= UNBOUNDED)
        || filter.as_ref().is_some_and(|filter| filter.at_most(UNBOUNDED as usize));
    let select = Arc::new(scope.select(&query.select, few)?);
    let order = query
        .order
        .iter()
        .map(|order| Ok((scope.sortable(&order.path)?, order.descending, order.nulls_last)))
        .collect::<Result<_, ApiError>>()?;
    let offset = query.offset.as_ref().map_or(0, |offset| offset.it);
    if let Some(written) = query.offset.as_ref().filter(|written| written.it > FARTHEST) {
        return Err(fault(
            soql,
            written.at,
            "NUMBER_OUTSIDE_VALID_RANGE",
            &format!("Maximum SOQL offset allowed is {FARTHEST}"),
        ));
    }
    let limit =
        query.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Plan { place, count_only, select, filter, order, limit, offset: offset as usize })
}

struct Scope<'a> {
    org: &'a Org,
    soql: &'a str,
    table: &'a Table,
    alias: Option<&'a str>,
    now: Timestamp,
}

impl<'a> Scope<'a> {
    fn select(&self, items: &[At<Item>], few: bool) -> Result<Node, ApiError> {
        let mut node = Node::default();
        let mut seen = HashSet::new();
        let mut add = |node: &mut Node, at: usize, path: &Path| {
            if seen.insert(path.name.clone()) {
                node.add(path);
                return Ok(());
            }
            Err(fault(
                self.soql,
                at,
                "INVALID_FIELD",
                &format!("duplicate field selected: {}", path.name),
            ))
        };
        for item in items {
            match &item.it {
                Item::Count if items.len() == 1 => {}
                Item::Count => {
                    return Err(fault(
                        self.soql,
                        item.at,
                        "MALFORMED_QUERY",
                        "unexpected token: 'COUNT'",
                    ));
                }
                Item::Fields(group) => {
                    if !few && *group != Group::Standard {
                        return Err(fault(
                            self.soql,
                            item.at,
                            "MALFORMED_QUERY",
                            "The SOQL FIELDS function must have a LIMIT of at most 200",
                        ));
                    }
                    for (index, field) in self.table.object().fields.iter().enumerate() {
                        let wanted = match group {
                            Group::All => true,
                            Group::Standard => !field.custom(),
                            Group::Custom => field.custom(),
                        };
                        if wanted && !self.hidden(self.table, index) {
                            add(&mut node, item.at, &own(self.table, index))?;
                        }
                    }
                }
                Item::Path(path) => add(&mut node, item.at, &self.path(item.at, path)?)?,
            }
        }
        Ok(node)
    }

    fn hidden(&self, table: &Table, index: usize) -> bool {
        table.hidden.get(index).copied().unwrap_or_default()
    }

    fn no_column(&self, at: usize, name: &str, entity: &str) -> ApiError {
        let message = format!(
            "No such column '{name}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names."
        );
        fault(self.soql, at, "INVALID_FIELD", &message)
    }

    /// Resolves `Account.Owner.Name` from the object of the query.
    fn path(&self, at: usize, written: &str) -> Result<Path, ApiError> {
        let mut segments: Vec<&str> = written.split('.').collect();
        let object = self.table.object();
        let itself = |segment: &str| {
            segment.eq_ignore_ascii_case(object.name)
                || self.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(segment))
        };
        // A relationship of the same name goes first.
        if segments.len() > 1 && itself(segments[0]) && object.relationship(segments[0]).is_none() {
            segments.remove(0);
        }
        let last = segments.pop().unwrap_or_default();
        let misunderstood = |segment: &str| {
            let message = format!(
                "Didn't understand relationship '{segment}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call for the appropriate names."
            );
            fault(self.soql, at, "INVALID_FIELD", &message)
        };
        if segments.len() > DEEPEST {
            return Err(fault(
                self.soql,
                at,
                "MALFORMED_QUERY",
                &format!(
                    "Invalid field: '{written}': relationships may be followed to a depth of {DEEPEST}"
                ),
            ));
        }
        let mut hops = Vec::new();
        let mut name = String::new();
        let mut here = Some(self.table);
        for segment in segments {
            let Some(table) = here else {
                return Err(misunderstood(segment));
            };
            let index = table
                .object()
                .relationship(segment)
                .filter(|index| !self.hidden(table, *index))
                .ok_or_else(|| misunderstood(segment))?;
            let field = &table.object().fields[index];
            let Kind::Reference(to, relationship) = field.kind else {
                return Err(misunderstood(segment));
            };
            hops.push(Hop { field: index, relationship });
            name.push_str(relationship);
            name.push('.');
            here = if let [one] = to { self.org.table(one) } else { None };
        }
        let Some(table) = here else {
            let field = NAME_FIELDS
                .iter()
                .find(|field| field.eq_ignore_ascii_case(last))
                .ok_or_else(|| self.no_column(at, last, "Name"))?;
            let kind = if *field == "Id" { Kind::Id } else { Kind::Text(255) };
            return Ok(Path { hops, leaf: Leaf::Named(field), kind, name: name + field });
        };
        let index = table
            .object()
            .field(last)
            .filter(|index| !self.hidden(table, *index))
            .ok_or_else(|| self.no_column(at, last, table.object().name))?;
        let found = own(table, index);
        Ok(Path { hops, name: name + &found.name, ..found })
    }

    fn sortable(&self, written: &At<String>) -> Result<Path, ApiError> {
        let path = self.path(written.at, &written.it)?;
        if matches!(path.kind, Kind::Long(_) | Kind::Multi(_) | Kind::Address) {
            return Err(fault(
                self.soql,
                written.at,
                "INVALID_FIELD",
                &format!("field '{}' can not be sorted in a query call", path.field()),
            ));
        }
        Ok(path)
    }

    fn expression(&self, expression: &Expr) -> Result<Cond, ApiError> {
        Ok(match expression {
            Expr::And(terms) => {
                Cond::All(terms.iter().map(|term| self.expression(term)).collect::<Result<_, _>>()?)
            }
            Expr::Or(terms) => {
                Cond::Any(terms.iter().map(|term| self.expression(term)).collect::<Result<_, _>>()?)
            }
            Expr::Not(term) => Cond::Not(Box::new(self.expression(term)?)),
            Expr::Test(test) => self.test(test)?,
        })
    }

    fn test(&self, test: &Test) -> Result<Cond, ApiError> {
        let path = self.path(test.path.at, &test.path.it)?;
        let fail = |code: &str, message: &str| Err(fault(self.soql, test.path.at, code, message));
        let class = path.kind.class();
        let multi = matches!(path.kind, Kind::Multi(_));
        let op = test.op.it;
        if class == Class::Compound || matches!(path.kind, Kind::Long(_)) {
            return fail(
                "INVALID_FIELD",
                &format!("field '{}' can not be filtered in a query call", path.field()),
            );
        }
        let allowed = match op {
            Op::Like => class == Class::Text && !multi,
            Op::Includes | Op::Excludes => multi,
            Op::Lt | Op::Le | Op::Gt | Op::Ge => class != Class::Bool && !multi,
            Op::Eq | Op::Ne | Op::In | Op::NotIn => true,
        };
        if !allowed {
            return fail(
                "INVALID_QUERY_FILTER_OPERATOR",
                &format!("invalid operator on {} field", path.kind.name()),
            );
        }
        let mut nulls = false;
        let mut texts = Vec::new();
        let mut numbers = Vec::new();
        let mut spans = Vec::new();
        let today = date_of(self.now.as_second());
        for literal in &test.with {
            match (class, &literal.it) {
                (_, Literal::Null) => nulls = true,
                (Class::Text, Literal::Text(text)) => texts.push(text.clone()),
                (Class::Id, Literal::Text(text)) => match id::canonical(text) {
                    Some(id) => texts.push(id),
                    // An empty id is no id: as null.
                    None if text.is_empty() => nulls = true,
                    None => {
                        return fail(
                            "INVALID_QUERY_FILTER_OPERATOR",
                            &format!("invalid ID field: {text}"),
                        );
                    }
                },
                (Class::Bool, Literal::Bool(value)) => numbers.push(f64::from(u8::from(*value))),
                (Class::Number, Literal::Number(number)) => numbers.push(*number),
                (Class::Date, Literal::Date(date)) => {
                    spans.push((midnight(*date), midnight(date.tomorrow().unwrap_or(*date))))
                }
                (Class::Time, Literal::Time(time)) => {
                    spans.push((time.as_millisecond(), time.as_millisecond().saturating_add(1)))
                }
                (Class::Date | Class::Time, Literal::Named(word, count)) => {
                    if let Some((from, to)) = dates::range(word, *count, today) {
                        spans.push((midnight(from), midnight(to)));
                    }
                }
                _ => return fail("INVALID_FIELD", &mismatch(path.field(), path.kind)),
            }
        }
        Ok(self.compile(path, class, op, nulls, texts, numbers, spans))
    }

    #[expect(clippy::too_many_arguments, reason = "the literals of one test, sorted by type")]
    fn compile(
        &self,
        path: Path,
        class: Class,
        op: Op,
        nulls: bool,
        texts: Vec<String>,
        numbers: Vec<f64>,
        spans: Vec<(i64, i64)>,
    ) -> Cond {
        let negative = matches!(op, Op::Ne | Op::NotIn | Op::Excludes);
        let plain = |text: &String| text.replace(UNDERSCORE, "_").replace(PERCENT, "%");
        let check = match (op, class) {
            (Op::Like, _) => Check::Like(texts.iter().map(|text| Pattern::new(text)).collect()),
            (Op::Includes | Op::Excludes, _) => Check::Includes(
                texts
                    .iter()
                    .map(|text| {
                        plain(text).split(';').map(|part| part.trim().to_lowercase()).collect()
                    })
                    .collect(),
            ),
            (Op::Lt | Op::Le | Op::Gt | Op::Ge, _) if nulls => return Cond::Rows(0..0),
            (_, Class::Id) if path.hops.is_empty() && path.kind == Kind::Id => {
                let cond = self.rows(op, nulls, &texts);
                return if negative { Cond::Not(Box::new(cond)) } else { cond };
            }
            (Op::Lt | Op::Le | Op::Gt | Op::Ge, Class::Text | Class::Id) => {
                Check::Text(op, texts.first().map(plain).unwrap_or_default())
            }
            (_, Class::Text | Class::Id) => {
                let empty = texts.iter().any(String::is_empty);
                let fold = |text: &String| {
                    if class == Class::Id { text.clone() } else { plain(text).to_lowercase() }
                };
                Check::Among(
                    texts.iter().filter(|text| !text.is_empty()).map(fold).collect(),
                    class == Class::Id,
                    nulls || empty,
                )
            }
            (_, Class::Bool | Class::Number) => Check::Number(op, numbers, nulls),
            _ => Check::Span(op, spans, nulls),
        };
        let stamp = path.hops.is_empty()
            && matches!(path.leaf, Leaf::Field(index) if self.table.object().fields[index].make == Make::Stamp);
        let cond = Cond::Test { path, check, stamp };
        // What is not equal includes what has no value; the checks answer for the positive form.
        if negative { Cond::Not(Box::new(cond)) } else { cond }
    }

    /// A condition on the record's own id, in row numbers.
    fn rows(&self, op: Op, nulls: bool, ids: &[String]) -> Cond {
        let count = self.table.rows.len() as u32;
        let place = |id: &String| self.table.ids.locate(id, count);
        match (op, ids.first()) {
            (Op::Lt, Some(id)) => Cond::Rows(0..place(id).0),
            (Op::Ge, Some(id)) => Cond::Rows(place(id).0..u32::MAX),
            (Op::Le | Op::Gt, Some(id)) => {
                let (below, exact) = place(id);
                let end = below + u32::from(exact.is_some());
                if op == Op::Le { Cond::Rows(0..end) } else { Cond::Rows(end..u32::MAX) }
            }
            // No record is without an id.
            (_, None) if nulls => Cond::Rows(0..0),
            _ => {
                let mut rows: Vec<u32> = ids.iter().filter_map(|id| place(id).1).collect();
                rows.sort_unstable();
                rows.dedup();
                Cond::Among(rows)
            }
        }
    }
}

fn own(table: &Table, index: usize) -> Path {
    let field = &OBJECTS[table.place].fields[index];
    Path {
        hops: Vec::new(),
        leaf: Leaf::Field(index),
        kind: field.kind,
        name: field.name.to_owned(),
    }
}

fn mismatch(field: &str, kind: Kind) -> String {
    let (name, quotes) = match kind.class() {
        Class::Text => ("string", "should be enclosed in quotes"),
        Class::Id => ("id", "should be enclosed in quotes"),
        Class::Time => ("dateTime", "should not be enclosed in quotes"),
        _ => (kind.name(), "should not be enclosed in quotes"),
    };
    format!("value of filter criterion for field '{field}' must be of type {name} and {quotes}")
}
