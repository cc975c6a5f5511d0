use proptest::prelude::*;

use super::*;
use crate::model::{Span, leaves};

fn id(n: u32) -> RecordId {
    RecordId::parse(&format!("003{n:012}")).unwrap()
}

/// A body of these fields.
fn body(fields: &[(&str, String)]) -> Body {
    let (mut text, mut values) = (String::from("{"), Vec::new());
    for (name, value) in fields {
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}\"{name}\":"));
        values.push(Span::new(text.len()..text.len() + value.len()));
        text.push_str(value);
    }
    Body::with_values(text + "}", values)
}

#[derive(Debug, Clone)]
struct Made {
    owner: u32,
    raw: Option<String>,
    /// What lies before the record where its values are told.
    base: usize,
    /// Its values are not told as they should be.
    strange: bool,
    bodies: Vec<(u16, Body)>,
}

fn value() -> impl Strategy<Value = String> {
    let some = [
        "\"Ada\"",
        "\"Ada Lovelace\"",
        "null",
        "true",
        "12",
        "12.5",
        "\"\"",
        "{\"a\":\"Ada\"}",
        "\"é😀\"",
        "[\"x, y\",7]",
    ];
    prop::sample::select(some.to_vec()).prop_map(str::to_owned)
}

fn made() -> impl Strategy<Value = Made> {
    let raw = prop::collection::vec(value(), 0..6).prop_map(|values| {
        body(&values.into_iter().map(|value| ("N", value)).collect::<Vec<_>>()).as_str().to_owned()
    });
    let known = prop::collection::vec(value(), 1..12).prop_map(|values| {
        body(&values.into_iter().map(|value| ("name", value)).collect::<Vec<_>>())
    });
    let wild = ("[a-z]{0,9}", prop::collection::vec((0_usize..12, 0_usize..12), 0..3)).prop_map(
        |(text, values)| {
            Body::with_values(text, values.iter().map(|&(a, b)| Span::new(a..b.max(a))).collect())
        },
    );
    let body = (0_u16..3, prop_oneof![4 => known, 1 => wild]);
    let told = (0_usize..9, prop::bool::weighted(0.1));
    (0_u32..4, prop::option::of(raw), told, prop::collection::vec(body, 0..3)).prop_map(
        |(owner, raw, (base, strange), bodies)| Made { owner, raw, base, strange, bodies },
    )
}

/// The payload of these texts, and what its texts must be.
fn written<'a>(
    writer: &mut Writer<'a>,
    all: &'a [Made],
    places: &'a [Vec<Span>],
) -> (Vec<u8>, Vec<(RecordId, String)>) {
    let mut texts = Vec::new();
    for (Made { owner, raw, base, bodies, .. }, values) in all.iter().zip(places) {
        let id = id(*owner);
        if let Some(text) = raw {
            let raw = Valued { text, values, base: *base };
            assert_eq!(writer.add_raw(&id, raw) as usize, texts.len());
            texts.push((id, text.clone()));
        }
        for (kind, body) in bodies {
            assert_eq!(writer.add_body(&id, *kind, body) as usize, texts.len());
            texts.push((id, body.as_str().to_owned()));
        }
    }
    (writer.take(<[u8]>::to_vec), texts)
}

fn places(all: &[Made]) -> Vec<Vec<Span>> {
    let told = |made: &Made| {
        let mut values = made.raw.as_deref().and_then(leaves).unwrap_or_default();
        let base = u32::try_from(made.base).unwrap();
        values.iter_mut().for_each(|value| value.start += base);
        if made.strange {
            values.reverse();
            values.push(Span { start: base, len: 99 });
        }
        values
    };
    all.iter().map(told).collect()
}

fn check(payload: Vec<u8>, texts: &[(RecordId, String)]) {
    let (read, stranger) = (Texts::read(payload).unwrap(), id(9));
    for (n, (id, text)) in (0..).zip(texts) {
        assert_eq!(read.text(n, id).as_ref(), Some(text));
        assert_eq!(read.text(n, &stranger), None);
    }
    let beyond = u32::try_from(texts.len()).unwrap();
    assert_eq!(read.text(beyond, &id(0)), None);
}

proptest! {
    #[test]
    fn texts_come_back(all in prop::collection::vec(made(), 0..12), again in prop::collection::vec(made(), 0..3)) {
        let (first, second) = (places(&all), places(&again));
        let mut writer = Writer::default();
        let (payload, texts) = written(&mut writer, &all, &first);
        check(payload, &texts);
        // Nothing of one block is left in the next.
        let (payload, texts) = written(&mut writer, &again, &second);
        check(payload, &texts);
    }

    #[test]
    fn damage_is_no_panic(all in prop::collection::vec(made(), 1..6), at in any::<prop::sample::Index>(), with: u8, cut in any::<prop::sample::Index>()) {
        let leaves = places(&all);
        let (mut payload, texts) = written(&mut Writer::default(), &all, &leaves);
        // What is cut off may leave a payload of the first format; it never has these texts.
        if let Some(read) = Texts::read(payload[..cut.index(payload.len())].to_vec()) {
            prop_assert!((0..).zip(&texts).all(|(n, (id, _))| read.text(n, id).is_none()));
        }
        let at = at.index(payload.len());
        payload[at] = with;
        if let Some(read) = Texts::read(payload) {
            for (n, (id, _)) in (0..).zip(&texts) {
                drop(read.text(n, id));
            }
        }
    }
}

#[test]
fn of_a_body_little_is_left() {
    let mut writer = Writer::default();
    let raws: Vec<String> = (0..20)
        .map(|n| {
            format!(
                r#"{{"attributes":{{"type":"X"}},"Name":"Ada {n}","Title":null,"Mail":"a{n}@x"}}"#
            )
        })
        .collect();
    let places: Vec<Vec<Span>> = raws.iter().map(|raw| leaves(raw).unwrap()).collect();
    let mut left = Vec::new();
    for (n, (text, leaves)) in raws.iter().zip(&places).enumerate() {
        let id = id(u32::try_from(n).unwrap());
        writer.add_raw(&id, Valued { text, values: leaves, base: 0 });
        let before = writer.bytes();
        let fields = [
            ("mail", format!("\"a{n}@x\"")),
            ("full_name", format!("\"Ada {n}\"")),
            ("age", "7".into()),
        ];
        writer.add_body(&id, 1, &body(&fields));
        left.push(writer.bytes() - before);
    }
    // The first body brings the names. Of the others there are: form, what was learned, three bits, a length, an age.
    assert!(left[0] > 40, "{left:?}");
    assert_eq!(left[1..], [5; 19]);
}

#[test]
fn of_a_record_what_changes_is_left() {
    let mut writer = Writer::default();
    let with = |n: u32, parent: &str| {
        let boss = if n.is_multiple_of(2) { "null" } else { parent };
        format!(
            r#"{{"attributes":{{"type":"Contact"}},"Name":"Ada {n}","Title":null,"Boss":{boss}}}"#
        )
    };
    let raws: Vec<String> = (0..9).map(|n| with(n, r#"{"Name":"Grace"}"#)).collect();
    let places: Vec<Vec<Span>> = raws.iter().map(|raw| leaves(raw).unwrap()).collect();
    let mut left = Vec::new();
    for (n, (text, values)) in (0..).zip(raws.iter().zip(&places)) {
        let before = writer.bytes();
        writer.add_raw(&id(n), Valued { text, values, base: 0 });
        left.push(writer.bytes() - before);
    }
    // The first of each shape bring the names. Of the others: form, two for the id, shape, bits, a length, a name.
    assert!(left[..2].iter().all(|&left| left > 60), "{left:?}");
    assert_eq!(left[2..], [13; 7]);
}

#[test]
fn records_of_too_many_shapes_are_whole() {
    let mut writer = Writer::default();
    let raws: Vec<String> = (0..SHAPES + 3).map(|n| format!(r#"{{"N{n}":"value"}}"#)).collect();
    let places: Vec<Vec<Span>> = raws.iter().map(|raw| leaves(raw).unwrap()).collect();
    for (text, values) in raws.iter().zip(&places) {
        writer.add_raw(&id(1), Valued { text, values, base: 0 });
    }
    let texts: Vec<_> = raws.iter().map(|raw| (id(1), raw.clone())).collect();
    check(writer.take(<[u8]>::to_vec), &texts);
}
