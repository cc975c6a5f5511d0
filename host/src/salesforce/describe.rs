//! What an org tells of its objects.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::connection::Session;
use super::http::Answer;
use super::org::{Ask, Org, Shared, Unreadable};
use super::{Error, soql};
use crate::model::{Caller, ConnectionName, Purpose, Schema, Stamp};

/// An object, as far as a reader of records needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Describe {
    /// Its API name, in the org's own spelling.
    pub name: String,
    /// Its label.
    #[serde(default)]
    pub label: String,
    /// Whether it can be queried.
    #[serde(default)]
    pub queryable: bool,
    /// Whether Salesforce keeps lists of its changed and deleted records.
    #[serde(default)]
    pub replicateable: bool,
    /// The first three characters of its records' ids.
    #[serde(default)]
    pub key_prefix: Option<String>,
    /// The fields that the connection's user may see.
    pub fields: Vec<FieldInfo>,
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldInfo {
    /// Its API name.
    pub name: String,
    /// Its label.
    #[serde(default)]
    pub label: String,
    /// Its type, for example `datetime` or `reference`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its length in characters; 0 when it has none.
    #[serde(default)]
    pub length: u32,
    /// Whether conditions may use it.
    #[serde(default)]
    pub filterable: bool,
    /// Whether records may be ordered by it.
    #[serde(default)]
    pub sortable: bool,
    /// Whether it says it may be null; not to be trusted.
    #[serde(default)]
    pub nillable: bool,
    /// Whether it is a formula or a roll-up: its changes do not move a record's stamp.
    #[serde(default)]
    pub calculated: bool,
    /// Whether the org's own people made it.
    #[serde(default)]
    pub custom: bool,
    /// The name under which the parent that it points to is reached.
    #[serde(default)]
    pub relationship_name: Option<String>,
    /// The objects that it may point to.
    #[serde(default)]
    pub reference_to: Vec<String>,
    /// The compound field that it is a part of.
    #[serde(default)]
    pub compound_field_name: Option<String>,
}

impl FieldInfo {
    /// Whether the field is made of others (`address`, `location`); it is read as one JSON value.
    pub fn is_compound(&self) -> bool {
        matches!(self.kind.as_str(), "address" | "location")
    }

    /// Whether it holds long text, which makes pages smaller.
    pub fn is_long(&self) -> bool {
        self.kind == "textarea" && self.length > 255
    }
}

impl Describe {
    /// The field of this name, whatever its case.
    pub fn field(&self, name: &str) -> Option<&FieldInfo> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The field by which changes are found: the first of `SystemModstamp`, `LastModifiedDate`, `CreatedDate` and
    /// `LoginTime` that can be filtered and ordered by.
    pub fn stamp_field(&self) -> Option<&str> {
        ["SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime"]
            .into_iter()
            .filter_map(|name| self.field(name))
            .find(|field| field.filterable && field.sortable && field.kind == "datetime")
            .map(|field| field.name.as_str())
    }

    /// Its fields and their types, as runs keep them.
    pub fn schema(&self) -> Schema {
        Schema(self.fields.iter().map(|field| (field.name.clone(), field.kind.clone())).collect())
    }

    /// How small pages become when these fields are selected: with two or more long-text fields that the org's own people
    /// made, Salesforce sends at most 200 records a page, and with one long-text field of any kind no more than 1000 were
    /// seen.
    pub fn ceiling<'a>(&self, selected: impl IntoIterator<Item = &'a str>) -> Option<Ceiling> {
        let long = selected.into_iter().filter_map(|name| self.field(name)).filter(|f| f.is_long());
        let (custom, standard): (Vec<&FieldInfo>, Vec<_>) = long.partition(|field| field.custom);
        let names = |fields: &[&FieldInfo]| fields.iter().map(|field| field.name.clone()).collect();
        match (custom.as_slice(), standard.as_slice()) {
            ([], []) => None,
            ([_, _, ..], _) => Some(Ceiling { most: 200, because: names(&custom) }),
            _ => Some(Ceiling { most: 1000, because: names(&[custom, standard].concat()) }),
        }
    }

    /// Whether records tell that they were deleted.
    pub fn has_deleted(&self) -> bool {
        self.field("IsDeleted").is_some()
    }
}

/// An object in the list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectInfo {
    /// Its API name.
    pub name: String,
    /// Its label.
    #[serde(default)]
    pub label: String,
    /// Whether it can be queried.
    #[serde(default)]
    pub queryable: bool,
    /// Whether the org's own people made it.
    #[serde(default)]
    pub custom: bool,
}

/// How many records a page can have at most, and which fields are the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceiling {
    /// Records.
    pub most: u16,
    /// The long-text fields that make it so.
    pub because: Vec<String>,
}

/// What is known of one object.
#[derive(Clone, Serialize, Deserialize)]
struct Known {
    /// When Salesforce last said that it is so.
    asked: Stamp,
    modified: Option<String>,
    describe: Arc<Describe>,
}

/// A place in the cache; its lock is held while Salesforce is asked, so that nobody asks the same at the same time.
#[derive(Default)]
struct Slot {
    known: tokio::sync::Mutex<Option<Known>>,
    /// Salesforce said something that does not fit what is known.
    doubted: AtomicBool,
}

/// Describes by connection (users see different fields) and object.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<(ConnectionName, String), Arc<Slot>>>);

impl Cache {
    fn slot(&self, connection: &ConnectionName, object: &str) -> Arc<Slot> {
        let key = (connection.clone(), object.to_ascii_lowercase());
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(key).or_default().clone()
    }

    /// Has an object described anew when it is next needed, whatever its age.
    pub(super) fn doubt(&self, connection: &ConnectionName, object: &str) {
        self.slot(connection, object).doubted.store(true, Ordering::Relaxed);
    }
}

fn kept_as(connection: &ConnectionName, object: &str) -> String {
    format!("describe/{connection}/{}", object.to_ascii_lowercase())
}

/// What is known of an object without asking Salesforce, from this process or an earlier one; `kept` gives what
/// [`super::Vault::keep_answer`] was told to keep.
pub fn kept_describe(
    connection: &ConnectionName,
    object: &str,
    kept: impl FnOnce(&str) -> Option<Vec<u8>>,
) -> Option<Arc<Describe>> {
    let known: Known = serde_json::from_slice(&kept(&kept_as(connection, object))?).ok()?;
    Some(known.describe)
}

impl Shared {
    async fn kept_describe(self: &Arc<Self>, name: String) -> Option<Known> {
        let vault = self.vault.clone();
        let read = tokio::task::spawn_blocking(move || vault.kept_answer(&name));
        match read.await {
            Ok(Ok(answer)) => serde_json::from_slice(&answer?).ok(),
            Ok(Err(error)) => {
                tracing::warn!(
                    error,
                    "A kept describe cannot be read; the object is described anew"
                );
                None
            }
            Err(_) => None,
        }
    }

    async fn keep_describe(self: &Arc<Self>, name: String, known: &Known) {
        let Ok(answer) = serde_json::to_vec(known) else { return };
        let vault = self.vault.clone();
        let kept = tokio::task::spawn_blocking(move || vault.keep_answer(&name, &answer)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(error, "A describe cannot be kept; a restart asks for it again");
        }
    }
}

impl Org {
    /// Describes an object. Within [`super::OrgSettings::describe_age`] no call is made, not after a restart either; after
    /// it Salesforce is asked whether anything changed.
    pub async fn describe(&self, who: &Caller, object: &str) -> Result<Arc<Describe>, Error> {
        self.describe_dated(who, object).await.map(|(describe, _)| describe)
    }

    /// The same, and what the org's clock showed, if Salesforce was asked.
    pub async fn describe_dated(
        &self,
        who: &Caller,
        object: &str,
    ) -> Result<(Arc<Describe>, Option<Stamp>), Error> {
        soql::object_name(object)?;
        let shared = self.shared();
        let slot = shared.describes.slot(&who.connection, object);
        let name = || kept_as(&who.connection, object);
        let mut held = slot.known.lock().await;
        if held.is_none() {
            *held = shared.kept_describe(name()).await;
        }
        let (now, doubted) = (shared.gate.now(), slot.doubted.load(Ordering::Relaxed));
        // When a right changes, an object's time of change need not: what is doubted is asked for whole.
        let known = held.clone().filter(|_| !doubted);
        if let Some(known) = &known
            && known.asked <= now
            && now.since(known.asked) < shared.settings.describe_age
        {
            return Ok((known.describe.clone(), None));
        }
        let modified = known.as_ref().and_then(|known| known.modified.clone());
        let build = |session: &Session| {
            let url = shared.data_path(session, &format!("sobjects/{object}/describe"));
            let since = modified.as_deref().map(|modified| ("if-modified-since", modified));
            shared.request(session, Method::GET, url, since.as_slice())
        };
        let read = |answer: &Answer| match (&known, answer.status) {
            (Some(known), 304) => Ok(Known { asked: now, ..known.clone() }),
            _ => {
                let describe: Describe = json(&answer.body)?;
                let modified = answer.last_modified.clone();
                Ok(Known { asked: now, modified, describe: Arc::new(describe) })
            }
        };
        let ask = Ask::new(who, Purpose::Describe, object);
        let got = shared.data(ask, build, read).await?;
        let known = got.value;
        slot.doubted.store(false, Ordering::Relaxed);
        shared.keep_describe(name(), &known).await;
        let describe = known.describe.clone();
        *held = Some(known);
        Ok((describe, got.date))
    }

    /// Has an object described anew when it is next needed, if what is known of it is older than `since`; whether it is.
    pub async fn describe_again(
        &self,
        connection: &ConnectionName,
        object: &str,
        since: Stamp,
    ) -> bool {
        let slot = self.shared().describes.slot(connection, object);
        let old = slot.known.lock().await.as_ref().is_some_and(|known| known.asked < since);
        slot.doubted.fetch_or(old, Ordering::Relaxed);
        old
    }

    /// The objects that the connection's user may see.
    pub async fn objects(&self, who: &Caller) -> Result<Vec<ObjectInfo>, Error> {
        #[derive(Deserialize)]
        struct All {
            sobjects: Vec<ObjectInfo>,
        }
        let shared = self.shared();
        let build = |session: &Session| {
            shared.request(session, Method::GET, shared.data_path(session, "sobjects"), &[])
        };
        let ask = Ask::new(who, Purpose::Describe, "the list of objects");
        let got = shared.data(ask, build, |answer: &Answer| json::<All>(&answer.body)).await?;
        Ok(got.value.sobjects)
    }
}

fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            let what = Purpose::Describe.as_str().to_owned();
            Error::Answer { what, why: error.to_string() }.into()
        } else {
            Unreadable::Damaged(error.to_string())
        }
    })
}
