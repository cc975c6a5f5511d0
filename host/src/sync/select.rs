//! Which fields a sync reads, and how: from its configuration, its plugin and what the org says of the object. Pure.

use crate::config::{Fields, SyncConfig};
use crate::model::Selection;
use crate::plugin::Field;
use crate::salesforce::{Ceiling, Describe, FieldInfo};

use super::Error;
use super::window::Tracking;

/// What a run will ask for.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The SELECT list: API names, parents as `Account.Name`.
    pub fields: Vec<String>,
    /// What to find in each record for the plugin.
    pub selection: Selection,
    /// How changes are found.
    pub tracking: Tracking,
    /// The most records that a page of these fields has.
    pub page: u16,
    /// Whether the object has `IsDeleted`, so that deletions arrive.
    pub sees_deletions: bool,
    /// What a reader of the run should know, in plain sentences.
    pub notes: Vec<String>,
}

/// Chooses the fields; fails before a call is spent when a required one is missing.
pub fn select(sync: &SyncConfig, reads: &[Field], org: &Describe) -> Result<Selected, Error> {
    let object = &sync.object;
    if !org.queryable {
        return Err(Error::NotQueryable { object: object.clone() });
    }
    let mut notes = Vec::new();
    let mut fields: Vec<String> = Vec::new();
    if reads.is_empty() {
        // A plugin that takes any fields must be able to tell the records apart.
        fields.push("Id".to_owned());
    }
    for read in reads {
        if find(org, &read.name).is_some() {
            push(&mut fields, &read.name);
        } else if read.required {
            let (sync, object, field) = (sync.name.clone(), object.clone(), read.name.clone());
            return Err(Error::MissingField { sync, object, field });
        } else {
            notes.push(format!(
                "{object} has no field {} that this connection may read: the plugin gets null",
                read.name
            ));
        }
    }
    match &sync.fields {
        Fields::Plugin if reads.is_empty() => {
            return Err(Error::NothingToRead { sync: sync.name.clone() });
        }
        Fields::Plugin => {}
        Fields::All => {
            org.fields
                .iter()
                .filter(|field| readable(field))
                .for_each(|f| push(&mut fields, &f.name));
        }
        Fields::List(list) => {
            for name in list {
                if find(org, name).is_some() {
                    push(&mut fields, name);
                } else {
                    notes.push(format!(
                        "degraded: {object} has no field {name} that this connection may read; the run goes on without it"
                    ));
                }
            }
        }
    }
    let tracking = Tracking::choose(
        org.fields.iter().filter(|f| f.filterable && f.sortable).map(|f| f.name.as_str()),
    );
    notes.extend(tracking.caveat(object));
    let sees_deletions = find(org, "IsDeleted").is_some();
    if !sees_deletions {
        notes.push(format!("{object} has no IsDeleted: deletions are not seen"));
    }
    let cells: Vec<String> = match reads {
        [] => fields.clone(),
        reads => reads.iter().map(|read| read.name.clone()).collect(),
    };
    let selection = Selection::new(&cells, tracking.stamp());
    let ceiling = org.ceiling(fields.iter().map(String::as_str));
    if let Some(ceiling) = ceiling.as_ref().filter(|ceiling| ceiling.most < sync.page_size) {
        notes.push(small_pages(ceiling, sync.page_size));
    }
    let page = ceiling.map_or(sync.page_size, |ceiling| ceiling.most.min(sync.page_size));
    Ok(Selected { page, fields, selection, tracking, sees_deletions, notes })
}

/// Says which fields make pages small, and what that costs.
pub fn small_pages(ceiling: &Ceiling, wanted: u16) -> String {
    let Ceiling { most, because } = ceiling;
    let times = f32::from(wanted) / f32::from(*most);
    let (fields, are, out) = match because.as_slice() {
        [one] => (one.clone(), "is a long-text field", "it"),
        // One of them alone does not make a page that small.
        many if *most < 1000 => (many.join(", "), "are long-text fields", "all but one of them"),
        many => (many.join(", "), "are long-text fields", "them"),
    };
    format!(
        "{fields} {are}: Salesforce sends at most {most} records a page instead of {wanted}, so reading many records \
         costs {times} times the calls; leave {out} out to read larger pages"
    )
}

/// Binary fields come as addresses of files and cost a call each: they are not records' data.
fn readable(field: &FieldInfo) -> bool {
    field.kind != "base64"
}

/// The field of this name, or for `Parent.Field` the lookup that leads to the parent.
fn find<'a>(org: &'a Describe, name: &str) -> Option<&'a FieldInfo> {
    let (first, rest) =
        name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    org.fields.iter().find(|field| match rest {
        None => field.name.eq_ignore_ascii_case(first),
        Some(_) => {
            field.relationship_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(first))
        }
    })
}

fn push(fields: &mut Vec<String>, name: &str) {
    if !fields.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        fields.push(name.to_owned());
    }
}
