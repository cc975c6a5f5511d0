//! Reads an answer in the json form.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::answer::{Answer, Kind, Sizes};
use crate::model::{Body, Outcome, Output, Span};
use crate::plugin::fault::Fault;
use crate::plugin::text::{clean, is_readable};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with mapped, skipped or failed")]
struct Item<'a> {
    #[serde(borrow)]
    mapped: Option<Vec<Piece<'a>>>,
    #[serde(borrow)]
    skipped: Option<Cow<'a, str>>,
    #[serde(borrow)]
    failed: Option<Failed<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an output: key, kind and fields")]
struct Piece<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    fields: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a failure: code, message and field")]
struct Failed<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    field: Option<Cow<'a, str>>,
}

/// The outcomes that a plugin gave for a batch, one a record. A fault means that no record can be blamed.
pub(in crate::plugin) fn read(
    answer: &str,
    records: usize,
    kinds: &[Kind],
    sizes: Sizes,
) -> Result<Vec<Outcome>, Fault> {
    let items: Vec<&RawValue> = serde_json::from_str(answer).map_err(|error| {
        Fault::Invalid(clean(&format!("it is not a JSON list of outcomes: {error}"), 300))
    })?;
    if items.len() != records {
        let reason = format!("it has {} outcomes, and records: {records}", items.len());
        return Err(Fault::Invalid(reason));
    }
    let mut outcomes = Answer::new(records, sizes);
    for (index, item) in items.into_iter().enumerate() {
        match serde_json::from_str(item.get()) {
            Ok(Item { mapped: Some(pieces), skipped: None, failed: None }) => {
                if pieces.is_empty() {
                    outcomes.nothing(index);
                }
                for piece in pieces {
                    outcomes.mapped(index, output(&piece, kinds))?;
                }
            }
            Ok(Item { mapped: None, skipped: Some(reason), failed: None }) => {
                outcomes.skipped(index, &reason);
            }
            Ok(Item { mapped: None, skipped: None, failed: Some(failed) }) => {
                outcomes.failed(index, &failed.code, &failed.message, failed.field.as_deref());
            }
            Ok(_) => {
                outcomes.invalid(index, "it is not exactly one of mapped, skipped and failed");
            }
            Err(error) => outcomes.invalid(index, &error.to_string()),
        }
    }
    Ok(outcomes.finish())
}

fn output(piece: &Piece<'_>, kinds: &[Kind]) -> Result<Output, String> {
    let kind = kinds.iter().find(|kind| *kind.name == *piece.kind).ok_or_else(|| {
        format!("it has an output of the undeclared kind '{}'", clean(&piece.kind, 60))
    })?;
    let fields = piece.fields;
    let body = if kind.open { kind.open_body(fields.get())?.into() } else { body(kind, fields)? };
    Ok(Output { kind: kind.name.clone(), key: piece.key.clone().into_owned(), body })
}

/// The fields in the declared order, as the table form has them; null where there is none. They come as an object, or as
/// the list of their values.
fn body(kind: &Kind, fields: &RawValue) -> Result<Body, String> {
    let at = |error: &dyn fmt::Display| format!("the fields of '{}': {error}", kind.name);
    if !is_readable(fields) {
        return Err(at(&"not JSON that every reader can read"));
    }
    let text = fields.get();
    let fields = Fields(kind)
        .read(&mut serde_json::Deserializer::from_str(text))
        .map_err(|error| at(&error))?;
    let mut body = String::with_capacity(text.len() + kind.frame);
    let mut values = Vec::with_capacity(fields.len());
    for (head, value) in kind.heads.iter().zip(fields) {
        body.push_str(head.form(false, false).as_str());
        let start = body.len();
        body.push_str(value.map_or("null", RawValue::get));
        values.push(Span::new(start..body.len()));
    }
    body.push_str(kind.tail(false));
    Ok(Body::with_values(body, values))
}

/// Collects the values of an object by the declared fields, or those of a list in their order.
struct Fields<'k>(&'k Kind);

impl Fields<'_> {
    fn read<'a, D: Deserializer<'a>>(
        self,
        deserializer: D,
    ) -> Result<Vec<Option<&'a RawValue>>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Fields<'_> {
    type Value = Vec<Option<&'a RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or the list of its values")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.fields.len();
        let mut values = Vec::with_capacity(wanted);
        let wrong = |count: &str| {
            de::Error::custom(format!("{count} values, where {wanted} fields are declared"))
        };
        while let Some(value) = list.next_element::<&RawValue>()? {
            if values.len() == wanted {
                // A list may be long; no more of it is kept.
                return Err(wrong("more"));
            }
            values.push(Some(value));
        }
        if values.len() < wanted {
            return Err(wrong(&values.len().to_string()));
        }
        Ok(values)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let names = &self.0.fields;
        let mut values = vec![None; names.len()];
        let mut next = 0;
        while let Some(Name(name)) = map.next_key()? {
            // Most authors write the fields in the order in which they declare them.
            let found = (0..names.len())
                .map(|step| (next + step) % names.len())
                .find(|&i| *names[i] == *name);
            let Some(found) = found else {
                let name = clean(&name, 60);
                return Err(de::Error::custom(format!("'{name}' is not declared")));
            };
            next = found + 1;
            if values[found].replace(map.next_value()?).is_some() {
                return Err(de::Error::custom(format!("'{name}' comes twice")));
            }
        }
        Ok(values)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::limits::Limits;

    fn all(answer: &str, records: usize) -> Result<Vec<Outcome>, Fault> {
        let fields = ["name", "n"].map(String::from);
        let kinds = [Kind::new("person", &fields), Kind::new("any", &[String::from("*")])];
        read(answer, records, &kinds, Sizes::new(&Limits::default()))
    }

    #[test]
    fn reads_every_outcome() {
        let answer = r#" [
            {"mapped":[{"key":"k\"1","kind":"person","fields":{"n": 5, "name": "A\u00e9"}},
                       {"key":"k","kind":"any","fields":{"x":[1, 2]}}]},
            {"mapped":[{"key":"l","kind":"person","fields":[null, {"x":[1, "\""]}]}]},
            {"mapped":[]}, {"skipped":"no e-mail"},
            {"failed":{"code":"email.invalid","message":"no \u001b[31m@","field":"Email"}}]"#;
        insta::assert_debug_snapshot!(all(answer, 5).unwrap(), @r#"
        [
            Mapped(
                [
                    Output {
                        kind: "person",
                        key: "k\"1",
                        body: "{\"name\":\"A\\u00e9\",\"n\":5}",
                    },
                    Output {
                        kind: "any",
                        key: "k",
                        body: "{\"x\":[1, 2]}",
                    },
                ],
            ),
            Mapped(
                [
                    Output {
                        kind: "person",
                        key: "l",
                        body: "{\"name\":null,\"n\":{\"x\":[1, \"\\\"\"]}}",
                    },
                ],
            ),
            Mapped(
                [],
            ),
            Skipped(
                "no e-mail",
            ),
            Failed(
                Rejection {
                    code: "email.invalid",
                    message: "no �[31m@",
                    field: Some(
                        "Email",
                    ),
                },
            ),
        ]
        "#);
    }

    #[test]
    fn blames_the_record_where_it_can() {
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        let deep =
            format!(r#"{{"mapped":[{{"key":"k","kind":"person","fields":[null,{deep}]}}]}}"#);
        let items = [
            r#"7"#,
            r#"{}"#,
            r#"{"mapped":[],"skipped":"x"}"#,
            r#"{"mapped":[{"key":"","kind":"person","fields":{}}]}"#,
            r#"{"mapped":[{"key":"k","kind":"pet","fields":{}}]}"#,
            r#"{"mapped":[{"key":"k","kind":"person","fields":[]}]}"#,
            r#"{"mapped":[{"key":"k","kind":"person","fields":["a",1,true]}]}"#,
            r#"{"mapped":[{"key":"k","kind":"person","fields":7}]}"#,
            r#"{"mapped":[{"key":"k","kind":"person","fields":{"age":1}}]}"#,
            r#"{"mapped":[{"key":"k","kind":"person","fields":{"n":1,"n":2}}]}"#,
            r#"{"mapped":[{"key":"k","kind":"any","fields":[1]}]}"#,
            r#"{"mapped":[{"key":"k","kind":"any","fields":{}},{"key":"k","kind":"any","fields":{}}]}"#,
            r#"{"mapped":[{"key":"k","kind":"any","fields":{"a":"\ud800"}}]}"#,
            r#"{"mapped":[{"key":"k","kind":"person","fields":["\ud800",null]}]}"#,
            deep.as_str(),
            r#"{"failed":{"code":"a b","message":"m"}}"#,
        ];
        let outcomes = all(&format!("[{}]", items.join(",")), items.len()).unwrap();
        let shown: Vec<String> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Failed(rejection) => {
                    assert_eq!(rejection.code, "plugin.invalid-output");
                    rejection.message.replace("the plugin's answer is not valid: ", "")
                }
                other => panic!("{other:?}"),
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        invalid type: integer `7`, expected an object with mapped, skipped or failed at line 1 column 1
        it is not exactly one of mapped, skipped and failed
        it is not exactly one of mapped, skipped and failed
        an output 'person' has an empty key
        it has an output of the undeclared kind 'pet'
        the fields of 'person': 0 values, where 2 fields are declared at line 1 column 2
        the fields of 'person': more values, where 2 fields are declared at line 1 column 12
        the fields of 'person': invalid type: integer `7`, expected an object, or the list of its values at line 1 column 1
        the fields of 'person': 'age' is not declared at line 1 column 6
        the fields of 'person': 'n' comes twice at line 1 column 13
        the body of 'any' is not a JSON object
        it has two outputs 'any' of one key
        the body of 'any' is not a JSON object
        the fields of 'person': not JSON that every reader can read
        the fields of 'person': not JSON that every reader can read
        the code 'a b' is not 1 to 64 letters, digits, '.', '_' or '-'; it came with: m
        "#);
    }

    #[test]
    fn blames_the_batch_where_it_must() {
        let shown = ["", "nonsense", "{}", "[]", r#"[{"skipped":"a"}] x"#]
            .map(|answer| all(answer, 1).unwrap_err().to_string());
        insta::assert_snapshot!(shown.join("\n").replace("the plugin's answer is not valid: ", ""), @r#"
        it is not a JSON list of outcomes: EOF while parsing a value at line 1 column 0
        it is not a JSON list of outcomes: expected ident at line 1 column 2
        it is not a JSON list of outcomes: invalid type: map, expected a sequence at line 1 column 0
        it has 0 outcomes, and records: 1
        it is not a JSON list of outcomes: trailing characters at line 1 column 19
        "#);
    }
}
