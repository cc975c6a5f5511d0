//! Records as JSON, a page at a time; pages that did not change are written once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use crate::data::id;
use crate::data::make::mix;
use crate::data::schema::Kind;
use crate::data::value::write_string;
use crate::org::{Org, ResultSet, Table};
use crate::soql::filter::{Leaf, Path, leaf};

/// Kept pages take at most this much memory.
const ROOM: usize = 384 << 20;

/// What is written of a record: fields and parents in the order of the SELECT list.
#[derive(Debug, Default)]
pub struct Node {
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    /// The name as a JSON key with its colon.
    key: Vec<u8>,
    what: What,
}

#[derive(Debug)]
enum What {
    Leaf(Leaf),
    Parent { field: usize, node: Node },
}

impl Node {
    /// Adds a field; fields of one parent are written together, where the parent first stood.
    pub(crate) fn add(&mut self, path: &Path) {
        let mut node = self;
        for hop in &path.hops {
            let found = node.items.iter().position(
                |item| matches!(item.what, What::Parent { field, .. } if field == hop.field),
            );
            let place = found.unwrap_or_else(|| {
                node.items.push(Item {
                    key: key(hop.relationship),
                    what: What::Parent { field: hop.field, node: Node::default() },
                });
                node.items.len() - 1
            });
            match &mut node.items[place].what {
                What::Parent { node: inner, .. } => node = inner,
                What::Leaf(_) => return,
            }
        }
        node.items.push(Item { key: key(path.field()), what: What::Leaf(path.leaf) });
    }

    /// Fields and parents at the top.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many long texts are selected of the object itself, and how many of them are custom.
    pub(crate) fn long_texts(&self, place: usize) -> (usize, usize) {
        let fields = &crate::data::objects::OBJECTS[place].fields;
        let long = self.items.iter().filter_map(|item| match item.what {
            What::Leaf(Leaf::Field(index)) => {
                fields.get(index).filter(|field| matches!(field.kind, Kind::Long(_)))
            }
            _ => None,
        });
        long.fold((0, 0), |(long, custom), field| (long + 1, custom + usize::from(field.custom())))
    }

    fn parents(&self) -> bool {
        self.items.iter().any(|item| matches!(item.what, What::Parent { .. }))
    }

    fn digest(&self, hash: &mut Xxh3) {
        for item in &self.items {
            hash.update(&item.key);
            match &item.what {
                What::Parent { node, .. } => {
                    hash.update(b"{");
                    node.digest(hash);
                    hash.update(b"}");
                }
                What::Leaf(_) => hash.update(b","),
            }
        }
    }

    fn write(
        &self,
        org: &Org,
        table: &Table,
        row: u32,
        kind: &str,
        version: &str,
        out: &mut Vec<u8>,
    ) {
        let id = table.ids.bytes(row);
        out.extend_from_slice(b"{\"attributes\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"url\":\"/services/data/v");
        out.extend_from_slice(version.as_bytes());
        out.extend_from_slice(b"/sobjects/");
        out.extend_from_slice(table.object().name.as_bytes());
        out.push(b'/');
        out.extend_from_slice(id::text(&id).as_bytes());
        out.extend_from_slice(b"\"}");
        for item in &self.items {
            out.push(b',');
            out.extend_from_slice(&item.key);
            match &item.what {
                What::Leaf(end) => leaf(org, table, row, *end).write(out),
                What::Parent { field, node } => {
                    match table.value(org, row, *field).as_text().and_then(|id| org.locate(id)) {
                        Some((parent, number)) => {
                            let one = matches!(
                                table.object().fields[*field].kind,
                                Kind::Reference([_], _)
                            );
                            node.write(
                                org,
                                parent,
                                number,
                                if one { parent.object().name } else { "Name" },
                                version,
                                out,
                            );
                        }
                        None => out.extend_from_slice(b"null"),
                    }
                }
            }
        }
        out.push(b'}');
    }
}

fn key(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 3);
    write_string(&mut out, name);
    out.push(b':');
    out
}

/// Pages written before, by what went into them. The one to leave is picked blindly: scans longer than the room would
/// never find a page again if the oldest left.
#[derive(Debug)]
pub struct Pages {
    room: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    pages: HashMap<u128, Bytes>,
    keys: Vec<u128>,
    size: usize,
    dice: u64,
}

impl Default for Pages {
    fn default() -> Pages {
        Pages { room: ROOM, kept: Mutex::new(Kept::default()) }
    }
}

impl Pages {
    fn get(&self, key: u128) -> Option<Bytes> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pages.get(&key).cloned()
    }

    fn put(&self, key: u128, page: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let size = page.len();
        if kept.pages.insert(key, page).is_none() {
            kept.keys.push(key);
            kept.size += size;
        }
        while kept.size > self.room && !kept.keys.is_empty() {
            kept.dice = mix(kept.dice, 1);
            let place = (kept.dice % kept.keys.len() as u64) as usize;
            let gone = kept.keys.swap_remove(place);
            kept.size -= kept.pages.remove(&gone).map_or(0, |page| page.len());
        }
    }
}

impl Org {
    /// How many bytes of rendered pages are kept for the next reader (384 MiB unless set).
    pub fn set_page_room(&mut self, bytes: usize) {
        self.pages.room = bytes;
    }

    /// Appends the records from `offset` on, at most `limit` of them, as a JSON array; values are those of this moment,
    /// and records purged since the query are missing. `version` is `58.0` or `v58.0`.
    pub fn render(
        &self,
        rs: &ResultSet,
        offset: usize,
        limit: usize,
        version: &str,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(&self.page(rs, offset, limit, version));
    }

    /// The same page without a copy: readers of an unchanged page share its bytes.
    pub fn page(&self, rs: &ResultSet, offset: usize, limit: usize, version: &str) -> Bytes {
        let version = version.strip_prefix('v').unwrap_or(version);
        let from = offset.min(rs.rows.len());
        let rows = &rs.rows[from..from.saturating_add(limit).min(rs.rows.len())];
        let Some(table) = self.tables.get(rs.place) else {
            return Bytes::from_static(b"[]");
        };
        let key = self.page_key(table, rs, rows, version);
        if let Some(page) = self.pages.get(key) {
            return page;
        }
        let mut page = Vec::with_capacity(64 + rows.len() * 128);
        page.push(b'[');
        for row in rows {
            if table.rows.get(*row as usize).is_none_or(|row| row.purged) {
                continue;
            }
            if page.len() > 1 {
                page.push(b',');
            }
            rs.select.write(self, table, *row, table.object().name, version, &mut page);
        }
        page.push(b']');
        page.shrink_to_fit();
        let page = Bytes::from(page);
        self.pages.put(key, page.clone());
        page
    }

    /// Everything a page depends on: the rows with their revisions, the fields, the version, and the other objects if
    /// parents are read.
    fn page_key(&self, table: &Table, rs: &ResultSet, rows: &[u32], version: &str) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(version.as_bytes());
        hash.update(&rs.place.to_le_bytes());
        rs.select.digest(&mut hash);
        if rs.select.parents() {
            for table in &self.tables {
                hash.update(&table.revision.to_le_bytes());
            }
        }
        let mut words = Vec::with_capacity(rows.len() * 2);
        for row in rows {
            words.push(*row);
            words.push(table.rows.get(*row as usize).map_or(u32::MAX, |row| row.revision));
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        hash.update(&bytes);
        hash.digest128()
    }
}
