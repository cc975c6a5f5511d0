//! What the plugin tests share.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use kilofold::model::{Batch, Outcome, RunId, Selection, Stamp, SyncName};
use kilofold::plugin::{Call, Engine, Error, Limits, Lookup, Mapped, Plugin, Settings, Source};
use serde_json::Value;

/// Limits that no honest plugin meets, however busy the machine is.
pub fn patient() -> Limits {
    Limits {
        base_ms: 60_000,
        start_ms: 60_000,
        isolation_ms: 600_000,
        compile_ms: 600_000,
        ..Limits::default()
    }
}

/// An engine without a cache. Time is taken from `patient` where the limits have their defaults.
pub fn engine(limits: Limits) -> Engine {
    let (usual, patient) = (Limits::default(), patient());
    let either = |ours: u64, usual: u64, patient: u64| if ours == usual { patient } else { ours };
    let limits = Limits {
        base_ms: either(limits.base_ms, usual.base_ms, patient.base_ms),
        start_ms: either(limits.start_ms, usual.start_ms, patient.start_ms),
        isolation_ms: either(limits.isolation_ms, usual.isolation_ms, patient.isolation_ms),
        compile_ms: either(limits.compile_ms, usual.compile_ms, patient.compile_ms),
        ..limits
    };
    Engine::new(None, limits).unwrap()
}

/// A plugin and a sync to call it for.
pub struct Bench {
    pub plugin: Plugin,
    sync: SyncName,
    outputs: Outputs,
}

#[derive(Clone, Default)]
struct Outputs(HashMap<(String, String), String>);

impl Lookup for Outputs {
    fn lookup(&self, kind: &str, keys: &[String]) -> Vec<Option<String>> {
        keys.iter().map(|key| self.0.get(&(kind.to_owned(), key.clone())).cloned()).collect()
    }
}

impl Bench {
    pub fn new(engine: Engine, source: Source) -> Self {
        Self::of(engine.load(&source).unwrap())
    }

    pub fn of(plugin: Plugin) -> Self {
        Self { plugin, sync: SyncName::new("Contact").unwrap(), outputs: Outputs::default() }
    }

    pub fn stock(name: &str) -> Self {
        Self::new(engine(Limits::default()), Source::Stock(name.into()))
    }

    pub fn evil(limits: Limits) -> Self {
        Self::new(engine(limits), Source::File(env!("KILOFOLD_EVIL_PLUGIN").into()))
    }

    /// Puts a body where the plugin can look it up.
    pub fn store(&mut self, kind: &str, key: &str, body: &str) {
        self.outputs.0.insert((kind.to_owned(), key.to_owned()), body.to_owned());
    }

    pub fn settings(&self, settings: Value) -> Result<Settings, Vec<String>> {
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        self.plugin
            .check_settings(&settings)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    /// Maps records with the fields that the plugin reads.
    pub fn map(&self, settings: Value, records: &str) -> Result<Mapped, Error> {
        let reads = &self.plugin.description().reads;
        let fields: Vec<&str> = reads.iter().map(|field| field.name.as_str()).collect();
        self.map_fields(settings, records, &fields)
    }

    pub fn map_fields(
        &self,
        settings: Value,
        records: &str,
        fields: &[&str],
    ) -> Result<Mapped, Error> {
        let settings = self.settings(settings).unwrap();
        self.map_batch(&settings, &batch(records, fields))
    }

    pub fn map_batch(&self, settings: &Settings, batch: &Batch) -> Result<Mapped, Error> {
        let call = Call {
            object: "Contact",
            sync: &self.sync,
            run: RunId(7),
            batch: 3,
            read_at: Stamp::parse("2024-02-29T12:00:00Z").unwrap(),
            settings,
            lookup: Arc::new(self.outputs.clone()),
        };
        self.plugin.map(&call, batch)
    }
}

/// A text in which places in sources have no numbers: `src/lib.rs:61:24` becomes `src/lib.rs:LINE`.
pub fn without_lines(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        let end = if part.len() == rest.len() { "" } else { "LINE" };
        // A colon behind the numbers belongs to the sentence.
        let colon = if end.is_empty() || !part[..part.len() - rest.len()].ends_with(':') {
            ""
        } else {
            ":"
        };
        plain = format!("{plain}.rs:{end}{colon}{rest}");
    }
    plain
}

/// The text without the digests in brackets that name plugins in errors.
pub fn without_digests(text: &str) -> String {
    let mut plain = String::new();
    for (i, part) in text.split('(').enumerate() {
        if i > 0 {
            plain.push('(');
        }
        match part.split_once(')') {
            Some((digest, rest))
                if digest.len() == 12 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                plain = format!("{plain}DIGEST){rest}");
            }
            _ => plain.push_str(part),
        }
    }
    plain
}

/// Records of a JSON list with these fields.
pub fn batch(records: &str, fields: &[&str]) -> Batch {
    let fields: Vec<String> = fields.iter().map(|&name| name.to_owned()).collect();
    let answer = format!("{{\"totalSize\":0,\"done\":true,\"records\":{records}}}");
    Selection::new(&fields, Some("SystemModstamp")).read_answer(&Bytes::from(answer)).unwrap().batch
}

/// Sets a field of a record by its path.
pub fn set(record: &mut Value, path: &str, value: Value) {
    match path.split_once('.') {
        Some((parent, rest)) => {
            let parent = &mut record[parent];
            if parent.is_null() {
                *parent = Value::Object(serde_json::Map::new());
            }
            set(parent, rest, value);
        }
        None => record[path] = value,
    }
}

/// Outcomes, one a line.
pub fn shown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Mapped(outputs) => {
                for output in outputs {
                    writeln!(text, "{} {}: {}", output.kind, output.key, output.body).unwrap();
                }
            }
            Outcome::Skipped(reason) => writeln!(text, "skipped: {reason}").unwrap(),
            Outcome::Failed(rejection) => {
                let field = rejection.field.as_deref().unwrap_or("-");
                writeln!(text, "failed {} {field}: {}", rejection.code, rejection.message).unwrap();
            }
        }
    }
    text
}

/// A component that imports and exports empty instances of these names, and does nothing.
pub fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    let mut section = |id: u8, body: Vec<u8>| {
        bytes.push(id);
        bytes.push(u8::try_from(body.len()).unwrap());
        bytes.extend(body);
    };
    let name = |name: &str| {
        let mut named = vec![0, u8::try_from(name.len()).unwrap()];
        named.extend(name.as_bytes());
        named
    };
    // One type: an instance without exports.
    section(7, vec![1, 0x42, 0]);
    for import in imports {
        section(10, [vec![1], name(import), vec![5, 0]].concat());
    }
    for (i, export) in exports.iter().enumerate() {
        // An instance of nothing, exported under the name; imports and exports count as instances too.
        section(5, vec![1, 1, 0]);
        let index = u8::try_from(imports.len() + 2 * i).unwrap();
        section(11, [vec![1], name(export), vec![5, index, 0]].concat());
    }
    bytes
}

/// A component with one function of so many additions that compiling it takes seconds. The nonce makes it another one.
pub fn compile_bomb(nonce: u8) -> Vec<u8> {
    fn section(id: u8, body: &[u8]) -> Vec<u8> {
        [&[id], leb(body.len()).as_slice(), body].concat()
    }
    fn leb(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 127).unwrap();
            value >>= 7;
            bytes.push(if value == 0 { low } else { low | 128 });
            if value == 0 {
                return bytes;
            }
        }
    }
    // (func (param i32) (result i32) local.get 0, then `local.get 0, i32.const nonce, i32.xor, i32.add` many times)
    let mut code = vec![0, 0x20, 0];
    for _ in 0..200_000 {
        code.extend([0x20, 0, 0x41, nonce, 0x73, 0x6a]);
    }
    code.push(0x0b);
    let function = [leb(code.len()), code].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 1, 0x7f]),
        section(3, &[1, 0]),
        section(10, &[vec![1], function].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

/// The component with one more core module in it, whose start function does not end, and an instance of that.
pub fn with_start_loop(component: &[u8]) -> Vec<u8> {
    let module = [
        b"\0asm\x01\0\0\0".as_slice(),
        &[1, 4, 1, 0x60, 0, 0],
        &[3, 2, 1, 0],
        &[8, 1, 0],
        // (loop (br 0))
        &[10, 9, 1, 7, 0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b],
    ]
    .concat();
    with_module(component, &module, 1)
}

/// The component with so many more instances of an empty core module.
pub fn with_instances(component: &[u8], count: u8) -> Vec<u8> {
    with_module(component, b"\0asm\x01\0\0\0", count)
}

/// Sections of a component may come in any order, so more of them can stand at its end.
fn with_module(component: &[u8], module: &[u8], instances: u8) -> Vec<u8> {
    let index = u8::try_from(core_modules(component)).unwrap();
    let mut bytes = component.to_vec();
    bytes.extend([1, u8::try_from(module.len()).unwrap()]);
    bytes.extend(module);
    for _ in 0..instances {
        // One instance: of this module, with nothing handed in.
        bytes.extend([2, 4, 1, 0, index, 0]);
    }
    bytes
}

/// How many core modules a component has at its top.
fn core_modules(component: &[u8]) -> usize {
    let (mut at, mut modules) = (8, 0);
    while at < component.len() {
        let id = component[at];
        at += 1;
        let (mut len, mut shift) = (0_usize, 0);
        loop {
            let byte = component[at];
            at += 1;
            len |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        modules += usize::from(id == 1);
        at += len;
    }
    modules
}
