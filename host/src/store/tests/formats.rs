//! What is stored can be read back, by this version and by every later one.

use proptest::prelude::*;

use super::*;
use crate::model::{Body, Position, Scan, Window};
use crate::store::block::{Block, Place};
use crate::store::codec::{self, Put, Take};
use crate::store::entry::{Entry, Held};
use crate::store::layout::Space;
use crate::store::meta::{Meta, SyncState};
use crate::store::texts::{Valued, Writer};

fn entry() -> Entry {
    Entry {
        state: State::Failed(Rejection {
            code: "email.invalid".into(),
            message: "no @ in 'ä'".into(),
            field: Some("Email".into()),
        }),
        deleted: true,
        stamp: Stamp(1_644_906_079_000),
        digest: 0x0123_4567_89ab_cdef,
        run: RunId(300),
        raw: Some(Place { block: 70_000, index: 53 }),
        outputs: vec![
            Held { kind: 0, key: None, place: Place { block: 9, index: 0 }, digest: 1 },
            Held {
                kind: 3,
                key: Some("a@b".into()),
                place: Place { block: 9, index: 1 },
                digest: 2,
            },
        ],
        history: Vec::new(),
    }
}

fn state() -> SyncState {
    let window = Window {
        scan: Scan::ByStamp,
        from: Some(Stamp(-1)),
        to: Stamp(5),
        at: Some(Position { stamp: Stamp(4), id: id(7) }),
    };
    SyncState {
        number: 1000,
        cursor: Cursor { covered: Some(Stamp(3)), open: Some(window) },
        stored: Stored { records: 1, outputs: 2, failed: 3, skipped: 4, deleted: 5, newest: None },
        foreign: 6,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Bytes that version 1 wrote. When this test fails, stores in the field can no longer be read: raise the version, keep
/// the reader of the former one, and add that version's bytes here instead of changing these.
#[test]
fn version_1_is_read_for_ever() {
    let key = Space::Record.record(2, &id(7));
    let bytes = unhex(ENTRY_1);
    assert_eq!(Entry::read(&key, codec::open(&key, &bytes).unwrap()).unwrap(), entry());
    assert_eq!(hex(&codec::seal(&key, &entry().write())), ENTRY_1);

    let key = SyncState::key(2);
    let bytes = unhex(STATE_1);
    assert_eq!(SyncState::read(&key, codec::open(&key, &bytes).unwrap()).unwrap(), state());
    assert_eq!(hex(&codec::seal(&key, &state().write().unwrap())), STATE_1);

    let meta = Meta { number: 9, sync: Some(0), feed_end: 1 << 40, next_block: 128, next_run: 3 };
    let bytes = unhex(META_1);
    assert_eq!(Meta::read(codec::open(&Meta::key(), &bytes).unwrap()).unwrap(), meta);
    assert_eq!(hex(&key), "730002");
    assert_eq!(hex(&layout::index(1, 2, "k")), "69000100026b");
}

/// What the second format added; see above.
#[test]
fn format_2_is_read_for_ever() {
    let key = Space::Record.record(2, &id(7));
    let touch = |run, became| Touch { run: RunId(run), became };
    let history = vec![touch(299, Became::Mapped), touch(4, Became::Deleted)];
    let entry = Entry { history, ..entry() };
    assert_eq!(Entry::read(&key, codec::open(&key, &unhex(ENTRY_2)).unwrap()).unwrap(), entry);
    assert_eq!(hex(&codec::seal(&key, &entry.write())), ENTRY_2);

    let key = SyncState::key(2);
    let stored = Stored { newest: Some(Stamp(1_644_906_079_000)), ..state().stored };
    let state = SyncState { stored, ..state() };
    assert_eq!(SyncState::read(&key, codec::open(&key, &unhex(STATE_2)).unwrap()).unwrap(), state);
    assert_eq!(hex(&codec::seal(&key, &state.write().unwrap())), STATE_2);

    let meta = Meta { number: 9, sync: Some(0), feed_end: 1 << 40, next_block: 128, next_run: 3 };
    let bytes = unhex(META_2);
    assert_eq!(Meta::read(codec::open(&Meta::key(), &bytes).unwrap()).unwrap(), meta);
    assert_eq!(hex(&codec::seal(&Meta::key(), &meta.write())), META_2);
}

const ENTRY_2: &str = "019a92c67c3eb08cd7c0df5fefcdab8967452301ac02f0a204350d656d61696c2e696e76616c69640c6e6f204020696e2027\
    c3a42705456d61696c02000900010000000000000007036140620901020000000000000002ab02000403";
const STATE_2: &str = "01b6eacbaee807010203040506647b22636f7665726564223a332c226f70656e223a7b227363616e223a2262792d7374616d\
    70222c2266726f6d223a2d312c22746f223a352c226174223a7b227374616d70223a342c226964223a223030333030303030\
    30303030303037414141227d7d7db08cd7c0df5f";
const META_2: &str = "0163dbb0c2020901808080808020800103";
/// What [`Packer`] packs. The first format was written up to and with version 0.1 of the layout.
#[test]
fn blocks_of_all_formats_are_read_for_ever() {
    let read = |bytes: Vec<u8>| Block::read(7, &Space::Block.number(7), bytes).unwrap();
    let first = read(unhex(BLOCK_1));
    assert_eq!(first.text(0, &id(1)).unwrap(), "{\"n\":1}");
    assert_eq!(first.text(1, &id(2)).unwrap(), "{\"é\":2}");
    assert!(first.text(1, &id(1)).is_err());
    assert!(first.text(2, &id(1)).is_err());

    let raws = [1, 2].map(|n| format!("{{\"N\":\"abc{n}\"}}"));
    let leaves = [Span::new(5..11)];
    let mut writer = Writer::default();
    for (n, text) in (1..).zip(&raws) {
        writer.add_raw(&id(n), Valued { text, values: &leaves, base: 0 });
        let body = format!("{{\"name\":\"abc{n}\",\"n\":{n}}}");
        let values = vec![Span::new(8..14), Span::new(19..20)];
        writer.add_body(&id(n), 4, &Body::with_values(body, values));
    }
    let bytes = writer.take(<[u8]>::to_vec);
    assert_eq!(hex(&bytes), BLOCK_3);
    for block in [BLOCK_2, BLOCK_3] {
        let block = read(unhex(block));
        assert_eq!(block.text(2, &id(2)).unwrap(), "{\"N\":\"abc2\"}");
        assert_eq!(block.text(3, &id(2)).unwrap(), "{\"name\":\"abc2\",\"n\":2}");
        assert!(block.text(3, &id(1)).is_err());
    }
}

const BLOCK_1: &str = "0230303330303030303030303030303107303033303030303030303030303032087b226e223a317d7b22c3a9223a327d";
const BLOCK_2: &str = "7b224e223a2261626331227d317b224e223a2261626332227d3200003030333030303030303030303030310c0502087b226e616d65223a052c226e223a017d0100010201000e320c0500020104000000320000000200";
const BLOCK_3: &str = "226162633122312261626332223204003030333030303030303030303030310001057b224e223a017d01060702087b226e616d65223a052c226e223a017d0100010201040e3200010607000201040000003f0000000300";
const ENTRY_1: &str = "01384b5a0b1eb08cd7c0df5fefcdab8967452301ac02f0a204350d656d61696c2e696e76616c69640c\
    6e6f204020696e2027c3a42705456d61696c020009000100000000000000070361406209010200000000000000";
const STATE_1: &str = "016c217d1fe807010203040506647b22636f7665726564223a332c226f70656e223a7b227363616e22\
    3a2262792d7374616d70222c2266726f6d223a2d312c22746f223a352c226174223a7b227374616d70223a342c226964223a223030333030\
    30303030303030303037414141227d7d7d";
const META_1: &str = "01e4a904ea010901808080808020800103";

fn any_place() -> impl Strategy<Value = Place> {
    (any::<u64>(), any::<u32>()).prop_map(|(block, index)| Place { block, index })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let rejection = (".{0,9}", ".{0,20}", prop::option::of(".{0,9}"))
        .prop_map(|(code, message, field)| State::Failed(Rejection { code, message, field }));
    let state = prop_oneof![Just(State::Mapped), ".{0,20}".prop_map(State::Skipped), rejection];
    let held = (any::<u16>(), prop::option::of(".{0,9}"), any_place(), any::<u64>())
        .prop_map(|(kind, key, place, digest)| Held { kind, key, place, digest });
    let outputs = prop::collection::vec(held, 0..4);
    let rest = (any::<bool>(), any::<i64>(), any::<u64>(), any::<u64>());
    let touch = (any::<u64>(), 0usize..4)
        .prop_map(|(run, became)| Touch { run: RunId(run), became: Became::ALL[became] });
    let history = prop::collection::vec(touch, 0..4);
    (state, rest, prop::option::of(any_place()), outputs, history).prop_map(
        |(state, (deleted, stamp, digest, run), raw, outputs, history)| Entry {
            state,
            deleted,
            stamp: Stamp(stamp),
            digest,
            run: RunId(run),
            raw,
            outputs,
            history,
        },
    )
}

proptest! {
    #[test]
    fn entries_come_back(entry in any_entry(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let key = Space::Record.record(1, &id(5));
        let value = codec::seal(&key, &entry.write());
        prop_assert_eq!(&Entry::read(&key, codec::open(&key, &value).unwrap()).unwrap(), &entry);
        // Any flipped bit is found, and so is a value under another key.
        let mut flipped = value.clone();
        flipped[at.index(value.len())] ^= 1 << bit;
        prop_assert!(codec::open(&key, &flipped).is_err());
        prop_assert!(codec::open(&Space::Record.record(1, &id(6)), &value).is_err());
        prop_assert!(codec::open(&key, &value[..at.index(value.len())]).is_err());
        // Cut payloads are refused, not misread.
        let payload = entry.write();
        prop_assert_eq!(Entry::parse(&payload[..at.index(payload.len())]), None);
    }

    #[test]
    fn numbers_come_back(value in any::<u64>(), signed in any::<i64>(), bytes in any::<Vec<u8>>()) {
        let mut to = Vec::new();
        to.number(value);
        to.signed(signed);
        to.bytes(&bytes);
        let mut take = Take(&to);
        prop_assert_eq!(take.number(), Some(value));
        prop_assert_eq!(take.signed(), Some(signed));
        prop_assert_eq!(take.bytes(), Some(&bytes[..]));
        prop_assert!(take.0.is_empty());
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Entry::parse(&bytes));
        drop(crate::store::groups::parse(&bytes));
        drop(Meta::read(&bytes));
        drop(SyncState::read(b"s", &bytes));
        drop(codec::open(b"r", &bytes));
        drop(crate::store::block::unpack(b"b", &bytes));
        drop(crate::store::block::Block::read(1, b"b", bytes.clone()));
        drop(crate::store::block::read_counts(b"l", &bytes));
        drop(crate::store::feed::Chunk::parse(b"e\0\0\0\0\0\0\0\x01", &bytes));
        drop(layout::describe(&bytes));
    }
}
