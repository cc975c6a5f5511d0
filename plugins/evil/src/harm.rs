//! Harm done while a call runs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::bindings::exports::kilofold::mapping::table;
use crate::bindings::kilofold::mapping::host::{self, Level};
use crate::bindings::kilofold::mapping::types::{Context, Problem};

/// What `mode` can be, beside the lies; each is told where it is done.
pub(crate) const MODES: &[&str] = &[
    "none",
    "spin",
    "spin-configure",
    "spin-copy",
    "spin-on-marked",
    "refuse-settings",
    "memory",
    "memory-grow",
    "memory-on-marked",
    "stack",
    "stack-calls",
    "panic",
    "panic-on-marked",
    "panic-huge",
    "abort",
    "abort-on-marked",
    "exit",
    "last-words",
    "log-huge",
    "log-flood",
    "log-escapes",
    "lookup-flood",
    "realloc-outside",
    "realloc-odd",
    "unsteady",
];

/// What `describe` does. A test that wants harm writes other letters over these in the component.
static DESCRIBE: [u8; 15] = *b"describe:honest";

/// Where the allocator says that there is room: 0 where there is, else a lie.
static LIE: AtomicUsize = AtomicUsize::new(0);

/// An allocator that can lie. The host asks it, too, for where to write a call's arguments.
struct Liar;

// SAFETY: it is the system's allocator until it is told to lie, and from then on only the host asks it, which must bear it.
unsafe impl GlobalAlloc for Liar {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match LIE.load(Ordering::Relaxed) {
            // SAFETY: the caller's promises are those that it wants.
            0 => unsafe { System.alloc(layout) },
            place => core::ptr::without_provenance_mut(place),
        }
    }

    unsafe fn dealloc(&self, room: *mut u8, layout: Layout) {
        // SAFETY: the same.
        unsafe { System.dealloc(room, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Liar = Liar;

/// A record is marked when one of its texts has this in it.
const MARK: &str = "EVIL";

/// The records of a batch, for those who look inside.
pub(crate) struct Records<'b> {
    fields: &'b [String],
    batch: &'b table::Batch,
}

impl<'b> Records<'b> {
    pub(crate) fn new(context: &'b Context, batch: &'b table::Batch) -> Self {
        Self { fields: &context.fields, batch }
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.rows as usize
    }

    pub(crate) fn text_len(&self) -> usize {
        self.batch.text.len()
    }

    pub(crate) fn text(&self, index: usize, field: &str) -> Option<&'b str> {
        let field = self.fields.iter().position(|name| name == field)?;
        let at = index * self.fields.len() + field;
        let start = if at == 0 { 0 } else { self.batch.cells[at - 1] >> 3 };
        self.batch.text.get(start as usize..(self.batch.cells[at] >> 3) as usize)
    }

    /// The first marked record.
    fn marked(&self) -> Option<usize> {
        (0..self.len()).find(|index| {
            self.fields
                .iter()
                .any(|field| self.text(*index, field).is_some_and(|text| text.contains(MARK)))
        })
    }
}

/// Harm to `describe`.
pub(crate) fn on_describe() -> Result<(), String> {
    match &black_box(&DESCRIBE)[9..] {
        b"spin.." => spin(),
        b"panic." => panic!("told to panic while it describes itself"),
        b"fails." => Err("this plugin will not say what it is\u{1b}[31m\u{7}".to_owned()),
        _ => Ok(()),
    }
}

/// Harm to `configure`.
pub(crate) fn on_configure(mode: &str) -> Result<(), Vec<Problem>> {
    match mode {
        "spin-configure" => spin(),
        "refuse-settings" => Err(vec![
            Problem {
                setting: "mode".to_owned(),
                message: "not this one\u{1b}[2J<script>".to_owned(),
            },
            Problem { setting: String::new(), message: String::new() },
        ]),
        // Nothing more is allocated here before the host asks for room for the batch.
        "realloc-outside" => {
            LIE.store(usize::MAX - 15, Ordering::Relaxed);
            Ok(())
        }
        "realloc-odd" => {
            LIE.store(1025, Ordering::Relaxed);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Harm to `map-batch`, before it answers.
pub(crate) fn on_batch(mode: &str, records: &Records<'_>) {
    match mode {
        "spin" => spin(),
        "spin-copy" => spin_copying(),
        "memory" => bomb(),
        "memory-grow" => grow(),
        "stack" => dig(black_box(1)),
        "stack-calls" => fall(),
        "panic" => {
            panic!("told to panic, with \"quotes\", {} records and \u{1b}[31mcolour", records.len())
        }
        "panic-huge" => speak(None, &"last words ".repeat(1 << 20)),
        // Without a word: no panic hook runs, so the host knows nothing but the trap.
        "abort" => std::process::abort(),
        "exit" => std::process::exit(7),
        "last-words" => speak(Some(u32::MAX), "not even a record"),
        "log-huge" => host::log(Level::Error, &"x".repeat(50 << 20)),
        "log-flood" => {
            (0..1_000_000).for_each(|line| host::log(Level::Info, &format!("line {line}")))
        }
        "log-escapes" => {
            host::log(Level::Warn, "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n2026 ERROR forged line\u{202e}")
        }
        "lookup-flood" => look_up(),
        _ => on_marked(mode, records),
    }
}

/// Harm that only a marked record brings about.
fn on_marked(mode: &str, records: &Records<'_>) {
    let Some(index) = records.marked() else {
        return;
    };
    match mode {
        "spin-on-marked" => spin(),
        "memory-on-marked" => bomb(),
        "panic-on-marked" => {
            speak(Some(index as u32), &format!("record {index} is marked at src/harm.rs"))
        }
        "abort-on-marked" => std::process::abort(),
        _ => {}
    }
}

/// Last words, then a trap.
fn speak(index: Option<u32>, words: &str) {
    host::panicked(index, words);
    std::process::abort();
}

/// All that could tell one time or place from another, in one line: clocks, also over an hour's sleep, chance, the order of
/// a hash map, the process, addresses, and the bits of what is no number.
pub(crate) fn world() -> String {
    let (wall, steady) = (SystemTime::now(), Instant::now());
    std::thread::sleep(Duration::from_secs(3600));
    let millis = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let order: Vec<u32> = (0..8).map(|i| (i, ())).collect::<HashMap<_, _>>().into_keys().collect();
    let chance = RandomState::new().hash_one(0);
    let mut typed = String::new();
    let read = std::io::stdin().read_line(&mut typed).unwrap_or_default();
    let (on_stack, on_heap) = (black_box(0_u8), Box::new(black_box(0_u8)));
    let nothing = black_box(0.0_f64) / black_box(0.0_f64);
    format!(
        "at {millis}, slept {:?}, chance {chance:x}, order {order:?}, {} variables, {} arguments, {read} typed, {:p} {:p}, {:x}",
        steady.elapsed(),
        std::env::vars().count(),
        std::env::args().count(),
        &raw const on_stack,
        &raw const *on_heap,
        nothing.to_bits(),
    )
}

/// Never returns; the compiler cannot know.
pub(crate) fn spin() -> ! {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Spends its time inside bulk copies, where there are few places to stop it.
fn spin_copying() {
    let mut from = vec![1_u8; 8 << 20];
    let mut to = vec![0_u8; 8 << 20];
    loop {
        to.copy_from_slice(black_box(&from));
        from.copy_from_slice(black_box(&to));
    }
}

/// Allocates and touches memory until there is none.
fn bomb() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Grows memory behind the allocator's back, and traps when it is refused.
fn grow() {
    while core::arch::wasm32::memory_grow(0, 256) != usize::MAX {}
    std::process::abort();
}

/// Calls itself with nothing in memory, until the engine's own stack ends.
#[expect(unconditional_recursion, reason = "that is the harm")]
fn fall() {
    static DEPTH: AtomicU64 = AtomicU64::new(0);
    DEPTH.fetch_add(1, Ordering::Relaxed);
    fall();
    DEPTH.fetch_sub(1, Ordering::Relaxed);
}

/// Calls itself until the stack that the compiler keeps in memory ends.
#[expect(unconditional_recursion, reason = "that is the harm")]
fn dig(depth: u64) {
    let room = black_box([depth; 64]);
    dig(room[63] + 1);
    black_box(room);
}

fn look_up() {
    let keys: Vec<String> = (0..1_000_000).map(|key| format!("key-{key}")).collect();
    loop {
        black_box(host::lookup("thing", &keys));
    }
}
