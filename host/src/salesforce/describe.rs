//! What an org tells of its objects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::connection::Session;
use super::http::Answer;
use super::org::{Ask, Org, Unreadable};
use super::{Error, soql};
use crate::model::{Caller, ConnectionName, Purpose, Schema};

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

#[derive(Clone)]
struct Known {
    asked: Instant,
    modified: Option<String>,
    describe: Arc<Describe>,
}

/// Describes by connection (users see different fields) and object.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<(ConnectionName, String), Known>>);

impl Cache {
    fn get(&self, key: &(ConnectionName, String)) -> Option<Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: (ConnectionName, String), known: Known) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, known);
    }
}

impl Org {
    /// Describes an object. Within [`super::OrgSettings::describe_age`] no call is made; after it Salesforce is asked
    /// whether anything changed.
    pub async fn describe(&self, who: &Caller, object: &str) -> Result<Arc<Describe>, Error> {
        soql::object_name(object)?;
        let shared = self.shared();
        let key = (who.connection.clone(), object.to_ascii_lowercase());
        let known = shared.describes.get(&key);
        if let Some(known) = &known
            && known.asked.elapsed() < shared.settings.describe_age
        {
            return Ok(known.describe.clone());
        }
        let modified = known.as_ref().and_then(|known| known.modified.clone());
        let build = |session: &Session| {
            let url = shared.data_path(session, &format!("sobjects/{object}/describe"));
            let since = modified.as_deref().map(|modified| ("if-modified-since", modified));
            shared.request(session, Method::GET, url, since.as_slice())
        };
        let read = |answer: &Answer| match (&known, answer.status) {
            (Some(known), 304) => Ok(Known { asked: Instant::now(), ..known.clone() }),
            _ => {
                let describe: Describe = json(&answer.body)?;
                let modified = answer.last_modified.clone();
                Ok(Known { asked: Instant::now(), modified, describe: Arc::new(describe) })
            }
        };
        let ask = Ask { who, purpose: Purpose::Describe, object, epoch: None };
        let known = shared.data(ask, build, read).await?.value;
        let describe = known.describe.clone();
        shared.describes.put(key, known);
        Ok(describe)
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
        let ask =
            Ask { who, purpose: Purpose::Describe, object: "the list of objects", epoch: None };
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
