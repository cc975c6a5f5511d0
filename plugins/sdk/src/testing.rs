//! Run a mapping natively, under plain `cargo test`: JSON records in, outcomes out.
//!
//! The records take the same way as in the host: into one text and its cells, through the mapping, and back through
//! every check on the answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;

use serde::de::Deserializer;
use serde_json::Value;
pub use serde_json::json;
use serde_json::value::RawValue;

use crate::{
    Batch, CellType, Context, DateTime, Level, Mapper, OutRow, Problem, Settings, Verdict,
};

#[derive(Default)]
pub(crate) struct Host {
    pub(crate) in_hand: Option<u32>,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) stored: HashMap<(String, String), String>,
}

thread_local! {
    pub(crate) static HOST: RefCell<Host> = RefCell::default();
}

/// One output that a record was mapped to.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its kind.
    pub kind: String,
    /// Its key.
    pub key: String,
    /// Its body.
    pub body: Value,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Mapped to these outputs.
    Mapped(Vec<Made>),
    /// Skipped for this reason.
    Skipped(String),
    /// Failed with this error.
    Failed {
        /// The stable code.
        code: String,
        /// The message for people.
        message: String,
        /// The Salesforce field at fault.
        field: Option<String>,
    },
}

impl Outcome {
    /// The outputs of one kind.
    pub fn made<'o>(&'o self, kind: &str) -> Vec<&'o Made> {
        match self {
            Outcome::Mapped(made) => made.iter().filter(|made| made.kind == kind).collect(),
            _ => Vec::new(),
        }
    }

    /// The body of the only output of one kind.
    ///
    /// # Panics
    /// When there is none or more than one: the test fails and shows the outcome.
    #[track_caller]
    pub fn body(&self, kind: &str) -> Value {
        match self.made(kind).as_slice() {
            [made] => made.body.clone(),
            other => panic!("there are {} outputs of kind '{kind}' in {self:?}", other.len()),
        }
    }

    /// The code of a failure.
    pub fn code(&self) -> Option<&str> {
        match self {
            Outcome::Failed { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// A run of one plugin over records.
#[derive(Debug)]
pub struct Run<P> {
    settings: String,
    object: String,
    read_at: DateTime,
    plugin: PhantomData<P>,
}

impl<P: Mapper> Default for Run<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Mapper> Run<P> {
    /// A run without settings, at 2026-01-01T00:00:00Z.
    ///
    /// # Panics
    /// When the plugin's description is not sound: the test fails and says why.
    #[track_caller]
    pub fn new() -> Self {
        let object = match P::describe() {
            Ok(description) => {
                description.objects.first().copied().unwrap_or("Record__c").to_owned()
            }
            Err(problem) => panic!("the plugin cannot be loaded: {problem}"),
        };
        let read_at = DateTime::from_millis(1_767_225_600_000);
        HOST.take();
        Self {
            settings: "{}".to_owned(),
            object,
            read_at: read_at.expect("a date in 2026"),
            plugin: PhantomData,
        }
    }

    /// Gives the settings, as a JSON object.
    #[must_use]
    pub fn settings(mut self, settings: Value) -> Self {
        self.settings = settings.to_string();
        self
    }

    /// Says of which object the records are; by default the first that the plugin names.
    #[must_use]
    pub fn object(mut self, name: &str) -> Self {
        self.object = name.to_owned();
        self
    }

    /// Says when the page was read.
    #[must_use]
    pub fn read_at(mut self, time: DateTime) -> Self {
        self.read_at = time;
        self
    }

    /// Stores an output for `lookup` to find.
    #[must_use]
    pub fn stored(self, kind: &str, key: &str, body: &Value) -> Self {
        HOST.with_borrow_mut(|host| {
            host.stored.insert((kind.to_owned(), key.to_owned()), body.to_string())
        });
        self
    }

    /// What is wrong with the settings; empty when nothing is.
    pub fn problems(&self) -> Vec<Problem> {
        P::Settings::from_json(&self.settings).err().unwrap_or_default()
    }

    /// Maps a JSON array of records, as Salesforce sends them; one outcome a record, in order. A field that a record
    /// does not have is null.
    ///
    /// # Panics
    /// When the records are not JSON, the settings are wrong or the answer breaks the contract: the test fails and
    /// says why.
    #[track_caller]
    pub fn map(&self, records: &str) -> Vec<Outcome> {
        let records: Vec<Box<RawValue>> =
            serde_json::from_str(records).expect("the records are a JSON array");
        let fields = self.fields(&records);
        let (text, cells) = encode(&records, &fields);
        let context = Context {
            object: self.object.clone(),
            sync: self.object.to_lowercase(),
            run: "test".to_owned(),
            batch: 0,
            read_at: self.read_at,
            fields,
        };
        let settings = match P::Settings::from_json(&self.settings) {
            Ok(settings) => settings,
            Err(problems) => panic!("the settings are wrong: {problems:?}"),
        };
        let batch = Batch::new(&context, records.len() as u32, &text, &cells);
        let answer = Answer::new(P::map(&settings, &batch), &text);
        answer.outcomes(records.len())
    }

    /// What the mapping logged since this run was made.
    pub fn logs(&self) -> Vec<(Level, String)> {
        HOST.with_borrow(|host| host.logs.clone())
    }

    fn fields(&self, records: &[Box<RawValue>]) -> Vec<String> {
        let declared: Vec<String> = P::describe()
            .map(|description| {
                description.reads.iter().map(|field| field.name.to_owned()).collect()
            })
            .unwrap_or_default();
        if !declared.is_empty() {
            return declared;
        }
        let mut names = Vec::new();
        for (name, _) in records.iter().flat_map(|record| members(record)) {
            if name != "attributes" && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// The members of an object, in order; none of a value that is no object.
fn members(object: &RawValue) -> Vec<(String, Box<RawValue>)> {
    struct Members;

    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    serde_json::Deserializer::from_str(object.get()).deserialize_map(Members).unwrap_or_default()
}

/// One text and its cells, as the host makes them.
fn encode(records: &[Box<RawValue>], fields: &[String]) -> (String, Vec<u32>) {
    let (mut text, mut cells) = (String::new(), Vec::new());
    for record in records {
        for field in fields {
            let mut value: Option<Box<RawValue>> = Some(record.clone());
            for part in field.split('.') {
                value = value.and_then(|it| {
                    members(&it).into_iter().find(|(name, _)| name == part).map(|(_, it)| it)
                });
            }
            let json = value.as_ref().map_or("null", |it| it.get());
            let kind = match json.as_bytes()[0] {
                b'n' => CellType::Null,
                b'"' => CellType::Text,
                b't' | b'f' => CellType::Boolean,
                b'{' | b'[' => CellType::Json,
                _ => CellType::Number,
            };
            match kind {
                CellType::Null => {}
                CellType::Text => {
                    text.push_str(&serde_json::from_str::<String>(json).expect("a JSON string"))
                }
                _ => text.push_str(json),
            }
            cells.push((text.len() as u32) << 3 | kind as u32);
        }
    }
    (text, cells)
}

/// An answer while it is checked, as the host checks it.
struct Answer<'b> {
    kinds: Vec<crate::OutputKind>,
    rows: Vec<OutRow>,
    text: String,
    cells: Vec<u64>,
    batch: &'b str,
}

impl<'b> Answer<'b> {
    fn new(out: crate::Outcomes<'_>, batch: &'b str) -> Self {
        let (kinds, rows, text, cells) = out.into_parts();
        Self { kinds, rows, text, cells, batch }
    }

    fn outcomes(&self, records: usize) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(records);
        let mut rest = self.cells.as_slice();
        for row in &self.rows {
            let (cells, after) = rest.split_at(row.cells as usize);
            rest = after;
            let index = row.index as usize;
            let again = index + 1 == outcomes.len();
            assert!(index == outcomes.len() || again, "row of record {index} is out of order");
            match (row.verdict, outcomes.last_mut()) {
                (Verdict::Mapped, Some(Outcome::Mapped(made))) if again => {
                    made.push(self.made(row, cells))
                }
                (verdict, _) => {
                    assert!(!again, "record {index} has a second verdict");
                    outcomes.push(match verdict {
                        Verdict::Mapped => Outcome::Mapped(vec![self.made(row, cells)]),
                        Verdict::Skipped => Outcome::Skipped(self.only(cells)),
                        Verdict::Failed => self.failed(cells),
                    });
                }
            }
        }
        assert!(rest.is_empty(), "{} cells belong to no row", rest.len());
        assert!(outcomes.len() == records, "{} outcomes for {records} records", outcomes.len());
        outcomes
    }

    fn failed(&self, cells: &[u64]) -> Outcome {
        let [code, message, field] = cells else {
            panic!("a failure has {} cells, not 3", cells.len())
        };
        let field = (field & 7 != 0).then(|| self.text(*field).to_owned());
        Outcome::Failed {
            code: self.text(*code).to_owned(),
            message: self.text(*message).to_owned(),
            field,
        }
    }

    fn only(&self, cells: &[u64]) -> String {
        let [reason] = cells else { panic!("a skip has {} cells, not 1", cells.len()) };
        self.text(*reason).to_owned()
    }

    fn made(&self, row: &OutRow, cells: &[u64]) -> Made {
        let kind = self.kinds[usize::from(row.kind)];
        assert!(cells.len() == kind.fields.len() + 1, "a {} has {} cells", kind.name, cells.len());
        let key = self.text(cells[0]).to_owned();
        assert!(!key.is_empty(), "a {} has no key", kind.name);
        let mut values = cells[1..].iter().map(|cell| self.value(*cell));
        let body = match kind.fields {
            ["*"] => values.next().filter(Value::is_object).expect("the body is a JSON object"),
            fields => {
                Value::Object(fields.iter().map(|field| (*field).to_owned()).zip(values).collect())
            }
        };
        Made { kind: kind.name.to_owned(), key, body }
    }

    fn text(&self, cell: u64) -> &str {
        let from = if cell & 8 == 0 { self.text.as_str() } else { self.batch };
        let start = (cell >> 32) as usize;
        &from[start..start + (cell as u32 >> 4) as usize]
    }

    fn value(&self, cell: u64) -> Value {
        let text = self.text(cell);
        match cell & 7 {
            0 => Value::Null,
            1 => Value::from(text),
            3..=5 => serde_json::from_str(text).expect("the cell is JSON"),
            other => panic!("there is no cell type {other}"),
        }
    }
}
