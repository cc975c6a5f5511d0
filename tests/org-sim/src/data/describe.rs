//! What describe says of objects and fields.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::id::canonical;
use super::objects::OBJECTS;
use super::schema::{Field, Kind, Object};
use crate::org::Org;

impl Org {
    /// `/sobjects`: all objects. `version` is `58.0` or `v58.0`.
    pub fn describe_global(&self, version: &str) -> Json {
        let mut all: Vec<&Object> = OBJECTS.iter().collect();
        all.sort_by_key(|object| object.name);
        let objects: Vec<Json> = all
            .into_iter()
            .map(|object| {
                let mut about = brief(object);
                about.insert("urls".to_owned(), urls(object, version, false));
                sorted(about)
            })
            .collect();
        json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects})
    }

    /// `/sobjects/X/describe` and when it last changed; none for an unknown object.
    pub fn describe(&self, object: &str, version: &str) -> Option<(Json, Timestamp)> {
        let table = self.table(object)?;
        let object = table.object();
        let fields: Vec<Json> = object
            .fields
            .iter()
            .zip(&table.hidden)
            .filter(|(_, hidden)| !**hidden)
            .map(|(field, _)| describe_field(object, field))
            .collect();
        let mut about = brief(object);
        let more = json!({
            "actionOverrides": [],
            "childRelationships": children(object),
            "compactLayoutable": object.writable,
            "defaultImplementation": null,
            "extendedBy": null,
            "extendsInterfaces": null,
            "fields": fields,
            "implementedBy": null,
            "implementsInterfaces": null,
            "listviewable": null,
            "lookupLayoutable": null,
            "namedLayoutInfos": [],
            "networkScopeFieldName": null,
            "recordTypeInfos": record_types(object, version),
            "searchLayoutable": object.writable,
            "sobjectDescribeOption": "FULL",
            "supportedScopes": [{"label": format!("All {}", object.plural.to_lowercase()), "name": "everything"}],
            "urls": urls(object, version, true),
        });
        if let Json::Object(more) = more {
            about.extend(more);
        }
        Some((sorted(about), table.described()))
    }
}

/// The keys of describe come in the order of the alphabet.
fn sorted(map: Map<String, Json>) -> Json {
    let mut pairs: Vec<(String, Json)> = map.into_iter().collect();
    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
    Json::Object(pairs.into_iter().collect())
}

fn brief(object: &Object) -> Map<String, Json> {
    let custom = object.custom();
    let standard = object.writable && !custom;
    let about = json!({
        "activateable": false,
        "associateEntityType": object.name.ends_with("History").then_some("History"),
        "associateParentEntity": object.name.strip_suffix("History").filter(|parent| *parent == "Account"),
        "createable": object.writable,
        "custom": custom || object.name.ends_with("__x"),
        "customSetting": false,
        "deepCloneable": false,
        "deletable": object.deletable(),
        "deprecatedAndHidden": false,
        "feedEnabled": standard,
        "hasSubtypes": false,
        "isInterface": false,
        "isSubtype": false,
        "keyPrefix": object.prefix,
        "label": object.label,
        "labelPlural": object.plural,
        "layoutable": object.writable,
        "mergeable": matches!(object.name, "Account" | "Contact" | "Lead"),
        "mruEnabled": object.writable,
        "name": object.name,
        "queryable": true,
        "replicateable": object.replicateable,
        "retrieveable": true,
        "searchable": object.writable,
        "triggerable": object.writable,
        "undeletable": object.deletable(),
        "updateable": object.writable,
    });
    if let Json::Object(about) = about { about } else { Map::new() }
}

fn urls(object: &Object, version: &str, full: bool) -> Json {
    let base = format!(
        "/services/data/v{}/sobjects/{}",
        version.strip_prefix('v').unwrap_or(version),
        object.name
    );
    let mut urls = Map::new();
    let mut put =
        |key: &str, tail: &str| urls.insert(key.to_owned(), Json::String(format!("{base}{tail}")));
    if full && object.writable {
        put("compactLayouts", "/describe/compactLayouts");
        put("approvalLayouts", "/describe/approvalLayouts");
        put("layouts", "/describe/layouts");
    }
    put("rowTemplate", "/{ID}");
    put("describe", "/describe");
    put("sobject", "");
    Json::Object(urls)
}

fn record_types(object: &Object, version: &str) -> Json {
    if !object.writable {
        return json!([]);
    }
    let master = canonical("012000000000000").unwrap_or_default();
    let layout = format!(
        "/services/data/v{}/sobjects/{}/describe/layouts/{master}",
        version.strip_prefix('v').unwrap_or(version),
        object.name
    );
    json!([{
        "active": true,
        "available": true,
        "defaultRecordTypeMapping": true,
        "developerName": "Master",
        "master": true,
        "name": "Master",
        "recordTypeId": master,
        "urls": {"layout": layout},
    }])
}

/// Lookups of other objects to this one.
fn children(object: &Object) -> Json {
    let mut found = Vec::new();
    for child in OBJECTS.iter() {
        for field in &child.fields {
            if let Kind::Reference(to, _) = field.kind
                && to.contains(&object.name)
            {
                let audit = matches!(
                    field.name,
                    "CreatedById" | "LastModifiedById" | "OwnerId" | "MasterRecordId"
                );
                let name = if child.custom() {
                    format!("{}__r", child.plural)
                } else {
                    child.plural.replace(' ', "")
                };
                found.push(json!({
                    "cascadeDelete": false,
                    "childSObject": child.name,
                    "deprecatedAndHidden": false,
                    "field": field.name,
                    "junctionIdListNames": [],
                    "junctionReferenceTo": [],
                    "relationshipName": (!audit).then_some(name),
                    "restrictedDelete": false,
                }));
            }
        }
    }
    Json::Array(found)
}

fn describe_field(object: &Object, field: &Field) -> Json {
    let kind = field.kind;
    let length = kind.length();
    let (digits, precision, scale) = match kind {
        Kind::Int => (8, 0, 0),
        Kind::Double(precision, scale)
        | Kind::Currency(precision, scale)
        | Kind::Percent(precision, scale) => (0, precision, scale),
        _ => (0, 0, 0),
    };
    let id = kind == Kind::Id;
    let flag = kind == Kind::Bool;
    let compound = kind == Kind::Address
        || field.name_field && object.fields.iter().any(|part| part.compound == Some(field.name));
    let (refers, relationship) = match kind {
        Kind::Reference(to, name) => (to, Some(name)),
        _ => (&[][..], None),
    };
    let values: Vec<Json> = match kind {
        Kind::Pick(values) | Kind::Multi(values) => {
            values.iter().map(|value| json!({"active": true, "defaultValue": false, "label": value, "validFor": null, "value": value})).collect()
        }
        _ => Vec::new(),
    };
    let extra = match (kind, field.compound, field.name_field && compound) {
        (Kind::Area(_) | Kind::Long(_), ..) => Some("plaintextarea"),
        (_, Some("Name"), _) | (_, _, true) => Some("personname"),
        _ => None,
    };
    // Two halves, for the macro's sake; the keys stay in the order of the alphabet.
    let first = json!({
        "aggregatable": !flag && field.sortable(),
        "aiPredictionField": false,
        "autoNumber": field.auto_number,
        "byteLength": length * if id || relationship.is_some() { 1 } else { 3 },
        "calculated": false,
        "calculatedFormula": null,
        "cascadeDelete": false,
        "caseSensitive": false,
        "compoundFieldName": field.compound,
        "controllerName": null,
        "createable": field.writable && object.writable,
        "custom": field.custom(),
        "defaultValue": flag.then_some(false),
        "defaultValueFormula": null,
        "defaultedOnCreate": id || flag || matches!(field.name, "OwnerId" | "CreatedDate" | "CreatedById" | "LastModifiedDate" | "LastModifiedById" | "SystemModstamp"),
        "dependentPicklist": false,
        "deprecatedAndHidden": false,
        "digits": digits,
        "displayLocationInDecimal": false,
        "encrypted": false,
        "externalId": field.external_id,
        "extraTypeInfo": extra,
        "filterable": field.filterable(),
        "filteredLookupInfo": null,
        "formulaTreatNullNumberAsZero": false,
        "groupable": field.sortable() && !matches!(kind, Kind::DateTime | Kind::Double(..) | Kind::Currency(..) | Kind::Percent(..)),
        "highScaleNumber": false,
        "htmlFormatted": false,
    });
    let second = json!({
        "idLookup": id || field.external_id || (field.name_field && !compound) || kind == Kind::Email && !field.custom(),
        "inlineHelpText": null,
        "label": field.label,
        "length": length,
        "mask": null,
        "maskType": null,
        "name": field.name,
        "nameField": field.name_field,
        "namePointing": refers.len() > 1,
        "nillable": field.nillable,
        "permissionable": field.nillable && !id,
        "picklistValues": values,
        "polymorphicForeignKey": refers.len() > 1,
        "precision": precision,
        "queryByDistance": kind == Kind::Address,
        "referenceTargetField": null,
        "referenceTo": refers,
        "relationshipName": relationship,
        "relationshipOrder": null,
        "restrictedDelete": false,
        "restrictedPicklist": false,
        "scale": scale,
        "searchPrefilterable": relationship.is_some(),
        "soapType": kind.soap(),
        "sortable": field.sortable(),
        "type": kind.name(),
        "unique": field.external_id,
        "updateable": field.writable && object.writable,
        "writeRequiresMasterRead": false,
    });
    match (first, second) {
        (Json::Object(mut first), Json::Object(second)) => {
            first.extend(second);
            Json::Object(first)
        }
        _ => Json::Null,
    }
}
