//! Reads an answer in the table form. Every index, length, kind, count and order is checked here.

use std::ops::Range;
use std::sync::Arc;

use super::answer::{Answer, Kind, Sizes};
use super::types::Verdict;
use super::wire;
use crate::model::{Bodies, Body, Outcome, Output, Span};
use crate::plugin::fault::Fault;
use crate::plugin::pieces::Pieces;
use crate::plugin::text::{clean, is_json, is_number};

/// The two texts that cells lie in.
struct Texts<'a> {
    batch: &'a str,
    answer: &'a str,
}

/// A cell of an answer.
enum Value<'a> {
    Null,
    Text(&'a str),
    Number(&'a str),
    Boolean(&'a str),
    Json(&'a str),
}

/// The outcomes that a plugin gave for a batch, one a record. A fault means that no record can be blamed.
pub(in crate::plugin) fn read(
    answer: &wire::Outcomes,
    batch: &wire::Batch,
    kinds: &[Kind],
    sizes: Sizes,
) -> Result<Vec<Outcome>, Fault> {
    let texts = Texts { batch: &batch.text, answer: &answer.text };
    let mut outcomes = Answer::new(batch.rows as usize, sizes);
    let mut bodies = Composer::new(answer.cells.len(), sizes);
    let mut mapped = Vec::with_capacity(answer.rows.len());
    let mut broken = None;
    let (mut last, mut cells) = (0, answer.cells.as_slice());
    for row in &answer.rows {
        if row.index >= batch.rows {
            let (index, rows) = (row.index, batch.rows);
            return Err(Fault::Invalid(format!("it is about record {index} of {rows}, from 0")));
        }
        if row.index < last {
            let reason = format!("record {} comes after record {last}", row.index);
            return Err(Fault::Invalid(reason));
        }
        last = row.index;
        let Some((own, rest)) = cells.split_at_checked(row.cells as usize) else {
            let reason = format!("record {} has more cells than there are", row.index);
            return Err(Fault::Invalid(reason));
        };
        cells = rest;
        let index = row.index as usize;
        match row.verdict {
            // One output that is wrong fails its record: the others need not be looked at.
            Verdict::Mapped if broken == Some(index) => {}
            Verdict::Mapped => {
                let made = bodies.output(row.kind, own, kinds, &texts);
                broken = made.is_err().then_some(index);
                mapped.push((index, made));
                sizes.check(bodies.text.len())?;
            }
            Verdict::Skipped => match text_cells::<1>(own, &texts) {
                Ok([reason]) => outcomes.skipped(index, reason.unwrap_or_default()),
                Err(reason) => outcomes.invalid(index, &reason),
            },
            Verdict::Failed => match text_cells::<3>(own, &texts) {
                Ok([code, message, field]) => {
                    outcomes.failed(
                        index,
                        code.unwrap_or_default(),
                        message.unwrap_or_default(),
                        field,
                    );
                }
                Err(reason) => outcomes.invalid(index, &reason),
            },
        }
    }
    if !cells.is_empty() {
        let reason = format!("cells that belong to no row: {}", cells.len());
        return Err(Fault::Invalid(reason));
    }
    let bodies = Arc::new(bodies.finish()?);
    for (index, made) in mapped {
        outcomes.mapped(index, made.map(|made| made.output(&bodies)))?;
    }
    Ok(outcomes.finish())
}

/// An output whose body is among those of the answer.
struct Made<'a> {
    kind: &'a Kind,
    key: &'a str,
    text: Span,
    values: Span,
}

impl Made<'_> {
    fn output(self, bodies: &Arc<Bodies>) -> Output {
        let body = Body::of(bodies, self.text, self.values);
        Output { kind: self.kind.name.clone(), key: self.key.to_owned(), body }
    }
}

/// Puts the bodies of an answer together, one behind the other.
struct Composer {
    text: Pieces,
    values: Vec<Span>,
    sizes: Sizes,
}

impl Composer {
    /// Room for the bodies of so many cells, as large as they commonly are.
    fn new(cells: usize, sizes: Sizes) -> Self {
        let cells = cells.min(1 << 16);
        Self { text: Pieces::with_room(cells * 32), values: Vec::with_capacity(cells), sizes }
    }

    /// One more output. An error tells what is wrong with it; then nothing of it is kept.
    fn output<'a>(
        &mut self,
        kind: u16,
        cells: &[u64],
        kinds: &'a [Kind],
        texts: &Texts<'a>,
    ) -> Result<Made<'a>, String> {
        let kind = kinds.get(usize::from(kind)).ok_or_else(|| {
            format!("it has an output of kind {kind} (from 0), which is not declared")
        })?;
        let Some((key, cells)) =
            cells.split_first().filter(|(_, own)| own.len() == kind.heads.len())
        else {
            return Err(format!(
                "an output '{}' has {} cells instead of {}, for the key and the declared fields",
                kind.name,
                cells.len(),
                kind.heads.len() + 1
            ));
        };
        let Value::Text(key) = value(*key, texts)? else {
            return Err(format!("an output '{}' has a key that is no text", kind.name));
        };
        let (start, first) = (self.text.len(), self.values.len());
        let put = match (kind.open, cells) {
            (true, [whole]) => self.open(kind, *whole, texts),
            _ => self.body(kind, cells, texts),
        };
        if let Err(reason) = put {
            self.text.cut(start);
            self.values.truncate(first);
            return Err(reason);
        }
        let (text, values) =
            (Span::new(start..self.text.len()), Span::new(first..self.values.len()));
        Ok(Made { kind, key, text, values })
    }

    /// Puts down a body that the author made.
    fn open(&mut self, kind: &Kind, whole: u64, texts: &Texts<'_>) -> Result<(), String> {
        let Value::Json(text) = value(whole, texts)? else {
            return Err(format!("the body of '{}' is not JSON", kind.name));
        };
        self.text.push(kind.open_body(text)?);
        Ok(())
    }

    /// Puts down a body of declared fields.
    fn body(&mut self, kind: &Kind, cells: &[u64], texts: &Texts<'_>) -> Result<(), String> {
        let begun = self.text.len();
        let mut behind_text = false;
        for ((cell, head), field) in cells.iter().zip(&kind.heads).zip(&kind.fields) {
            let at = |reason: String| format!("field '{field}' of '{}': {reason}", kind.name);
            let is_text = cell & 7 == 1;
            self.text.push_piece(head.form(behind_text, is_text));
            let start = self.text.len() - begun;
            let value = if is_text {
                let (source, part) = place(*cell, texts);
                self.text.push_part_escaped(source, part.clone()).ok_or_else(|| at(lost(&part)))?;
                // With its quotes.
                Span::new(start - 1..self.text.len() - begun + 1)
            } else {
                let spelled = value(*cell, texts).and_then(Value::spelled).map_err(at)?;
                self.text.push(spelled);
                Span::new(start..self.text.len() - begun)
            };
            self.values.push(value);
            behind_text = is_text;
            // Cells may share a text: few of them can name more than there is memory.
            self.sizes.check_body(&kind.name, self.text.len() - begun)?;
        }
        self.text.push(kind.tail(behind_text));
        Ok(())
    }

    fn finish(self) -> Result<Bodies, Fault> {
        let text = self.text.into_text().map_err(|error| Fault::Invalid(error.to_string()))?;
        Ok(Bodies { text, values: self.values })
    }
}

impl<'a> Value<'a> {
    /// How JSON spells a value that is no text; else what is wrong with it.
    fn spelled(self) -> Result<&'a str, String> {
        match self {
            Self::Null => Ok("null"),
            Self::Number(text) if is_number(text) => Ok(text),
            Self::Boolean(text @ ("true" | "false")) => Ok(text),
            Self::Json(text) if is_json(text) => Ok(text),
            Self::Number(text) => Err(format!("'{}' is no number", clean(text, 60))),
            Self::Boolean(text) => Err(format!("'{}' is no boolean", clean(text, 60))),
            Self::Json(text) | Self::Text(text) => {
                Err(format!("'{}' is not JSON", clean(text, 60)))
            }
        }
    }
}

/// Exactly so many cells, each a text or null.
fn text_cells<'a, const N: usize>(
    cells: &[u64],
    texts: &Texts<'a>,
) -> Result<[Option<&'a str>; N], String> {
    let cells: &[u64; N] = cells
        .try_into()
        .map_err(|_| format!("a verdict that takes {N} cells has {}", cells.len()))?;
    let mut found = [None; N];
    for (found, cell) in found.iter_mut().zip(cells) {
        *found = match value(*cell, texts)? {
            Value::Null => None,
            Value::Text(text) => Some(text),
            _ => return Err(String::from("a reason, code, message or field is no text")),
        };
    }
    Ok(found)
}

#[inline]
fn value<'a>(cell: u64, texts: &Texts<'a>) -> Result<Value<'a>, String> {
    if cell & 7 == 0 {
        return Ok(Value::Null);
    }
    let (source, part) = place(cell, texts);
    let text = source.get(part.clone()).ok_or_else(|| lost(&part))?;
    Ok(match cell & 7 {
        1 => Value::Text(text),
        3 => Value::Number(text),
        4 => Value::Boolean(text),
        5 => Value::Json(text),
        other => return Err(format!("a cell has the unknown type {other}")),
    })
}

/// The text of a cell, as a stretch of a text that may not have it.
#[inline]
fn place<'a>(cell: u64, texts: &Texts<'a>) -> (&'a str, Range<usize>) {
    let start = (cell >> 32) as usize;
    let length = (cell >> 4 & 0x0fff_ffff) as usize;
    (if cell & 8 == 0 { texts.answer } else { texts.batch }, start..start + length)
}

fn lost(part: &Range<usize>) -> String {
    let (start, length) = (part.start, part.len());
    format!("a cell at {start} of length {length} is not within its text, or cuts a character")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plugin::limits::Limits;

    const BATCH: &str = "Ann5true{\"a\":1}é";

    fn batch(rows: u32) -> wire::Batch {
        wire::Batch { rows, text: BATCH.to_owned(), cells: Vec::new() }
    }

    fn kinds() -> Vec<Kind> {
        let fields = ["name", "n"].map(String::from);
        vec![Kind::new("person", &fields), Kind::new("any", &[String::from("*")])]
    }

    fn cell(start: u64, len: u64, from_batch: bool, tag: u64) -> u64 {
        start << 32 | len << 4 | u64::from(from_batch) << 3 | tag
    }

    fn row(index: u32, verdict: Verdict, kind: u16, cells: u32) -> wire::OutRow {
        wire::OutRow { index, verdict, kind, cells }
    }

    fn sizes() -> Sizes {
        Sizes::new(&Limits::default())
    }

    fn message(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Failed(rejection) => format!("{}: {}", rejection.code, rejection.message),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn composes_valid_json() {
        let answer = wire::Outcomes {
            rows: vec![
                row(0, Verdict::Mapped, 0, 3),
                row(0, Verdict::Mapped, 1, 2),
                row(1, Verdict::Skipped, 0, 1),
                row(2, Verdict::Failed, 0, 3),
            ],
            text: String::from("k1\"\nno e-mailemail.invalid"),
            cells: vec![
                cell(0, 2, false, 1),
                cell(0, 4, false, 1),
                cell(3, 1, true, 3),
                cell(0, 2, false, 1),
                cell(8, 7, true, 5),
                cell(4, 9, false, 1),
                cell(13, 13, false, 1),
                cell(15, 2, true, 1),
                0,
            ],
        };
        let outcomes = read(&answer, &batch(3), &kinds(), sizes()).unwrap();
        let Outcome::Mapped(outputs) = &outcomes[0] else { panic!("{outcomes:?}") };
        assert_eq!(outputs[0].body, r#"{"name":"k1\"\n","n":5}"#);
        assert_eq!((outputs[1].kind.as_ref(), outputs[1].body.as_str()), ("any", r#"{"a":1}"#));
        assert_eq!(outcomes[1], Outcome::Skipped("no e-mail".into()));
        assert_eq!(message(&outcomes[2]), "email.invalid: é");
    }

    #[test]
    fn blames_the_record_where_it_can() {
        let one = |kind: u16, cells: Vec<u64>| {
            let count = u32::try_from(cells.len()).unwrap();
            let rows = vec![row(0, Verdict::Mapped, kind, count)];
            let answer = wire::Outcomes { rows, text: String::from("k01e"), cells };
            message(&read(&answer, &batch(1), &kinds(), sizes()).unwrap()[0])
        };
        let key = cell(0, 1, false, 1);
        let mut shown = vec![
            one(9, vec![key]),
            one(0, vec![key]),
            one(0, vec![cell(0, 0, false, 1), 0, 0]),
            one(0, vec![cell(0, 1, false, 3), 0, 0]),
            one(0, vec![key, 0, cell(1, 2, false, 3)]),
            one(0, vec![key, 0, cell(0, 1, false, 4)]),
            one(0, vec![key, 0, cell(0, 1, false, 5)]),
            one(0, vec![key, 0, cell(0, 9, false, 1)]),
            one(0, vec![key, 0, cell(15, 1, true, 1)]),
            one(0, vec![key, 0, cell(0, 1, false, 2)]),
            one(1, vec![key, cell(3, 1, true, 5)]),
        ];
        let twice = wire::Outcomes {
            rows: vec![row(0, Verdict::Mapped, 0, 3), row(0, Verdict::Skipped, 0, 1)],
            text: String::from("k"),
            cells: vec![key, 0, 0, key],
        };
        let outcomes = read(&twice, &batch(2), &kinds(), sizes()).unwrap();
        shown.extend(outcomes.iter().map(message));
        let rows = vec![row(0, Verdict::Mapped, 9, 1), row(0, Verdict::Mapped, 0, 3)];
        let text = String::from("k");
        let first = wire::Outcomes { rows, text, cells: vec![key, key, 0, 0] };
        shown.push(message(&read(&first, &batch(1), &kinds(), sizes()).unwrap()[0]));
        insta::assert_snapshot!(shown.join("\n").replace("plugin.invalid-output: the plugin's answer is not valid: ", ""), @r#"
        it has an output of kind 9 (from 0), which is not declared
        an output 'person' has 1 cells instead of 3, for the key and the declared fields
        an output 'person' has an empty key
        an output 'person' has a key that is no text
        field 'n' of 'person': '01' is no number
        field 'n' of 'person': 'k' is no boolean
        field 'n' of 'person': 'k' is not JSON
        field 'n' of 'person': a cell at 0 of length 9 is not within its text, or cuts a character
        field 'n' of 'person': a cell at 15 of length 1 is not within its text, or cuts a character
        field 'n' of 'person': a cell has the unknown type 2
        the body of 'any' is not a JSON object
        it gave more than one verdict for this record
        it gave no answer for this record
        it has an output of kind 9 (from 0), which is not declared
        "#);
    }

    #[test]
    fn blames_the_batch_where_it_must() {
        let read = |rows: Vec<wire::OutRow>, cells: usize| {
            let answer = wire::Outcomes { rows, text: String::new(), cells: vec![0; cells] };
            read(&answer, &batch(3), &kinds(), sizes()).unwrap_err().to_string()
        };
        let skip = |index, cells| row(index, Verdict::Skipped, 0, cells);
        let shown = [
            read(vec![skip(3, 1)], 1),
            read(vec![skip(1, 1), skip(0, 1)], 2),
            read(vec![skip(0, u32::MAX)], 1),
            read(vec![skip(0, 1)], 4),
        ];
        insta::assert_snapshot!(shown.join("\n").replace("the plugin's answer is not valid: ", ""), @r#"
        it is about record 3 of 3, from 0
        record 0 comes after record 1
        record 0 has more cells than there are
        cells that belong to no row: 3
        "#);
    }

    #[test]
    fn a_body_that_no_memory_could_hold_is_not_composed() {
        let names: Vec<String> = (0..4000).map(|n| format!("field{n}")).collect();
        let (kinds, text) = ([Kind::new("large", &names)], "x".repeat(16 << 20));
        let mut cells = vec![cell(0, 16 << 20, false, 1); 4001];
        cells[0] = cell(0, 3, true, 1);
        let answer = wire::Outcomes { rows: vec![row(0, Verdict::Mapped, 0, 4001)], text, cells };
        let outcomes = read(&answer, &batch(1), &kinds, sizes()).unwrap();
        insta::assert_snapshot!(message(&outcomes[0]), @"plugin.invalid-output: the plugin's answer is not valid: an output 'large' has a body of more than 1 MiB");
    }

    #[test]
    fn what_is_composed_is_bounded() {
        let limits = Limits { result_bytes: 64, body_bytes: 100, ..Limits::default() };
        let rows = (0..20).map(|i| row(i, Verdict::Mapped, 0, 3)).collect();
        let key = cell(0, 3, true, 1);
        let cells = [key, cell(0, 15, true, 1), 0].repeat(20);
        let answer = wire::Outcomes { rows, text: String::new(), cells };
        let error = read(&answer, &batch(20), &kinds(), Sizes::new(&limits)).unwrap_err();
        assert_eq!(error, Fault::TooLarge(256));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic_and_bodies_are_json(
            rows in prop::collection::vec((0_u32..4, 0_u8..3, 0_u16..3, 0_u32..5), 0..8),
            cells in prop::collection::vec((0_u64..20, 0_u64..20, any::<bool>(), 0_u64..8), 0..24),
            text in "[a-c0-9é\"\\\\{}]{0,20}",
        ) {
            let verdicts = [Verdict::Mapped, Verdict::Skipped, Verdict::Failed];
            let rows: Vec<_> = rows
                .into_iter()
                .map(|(i, v, k, c)| row(i, verdicts[usize::from(v)], k, c))
                .collect();
            let cells = cells.into_iter().map(|(s, l, b, t)| cell(s, l, b, t)).collect();
            let answer = wire::Outcomes { rows, text, cells };
            if let Ok(outcomes) = read(&answer, &batch(4), &kinds(), sizes()) {
                prop_assert_eq!(outcomes.len(), 4);
                for outcome in outcomes {
                    let Outcome::Mapped(outputs) = outcome else { continue };
                    for output in outputs {
                        let body: serde_json::Value = serde_json::from_str(&output.body).unwrap();
                        prop_assert!(body.is_object());
                    }
                }
            }
        }
    }
}
