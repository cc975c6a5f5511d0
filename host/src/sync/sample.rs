//! A few records straight from the org, stored nowhere: what an author tries a plugin on.

use crate::config::SyncConfig;
use crate::model::{Caller, RecordId};
use crate::plugin::Field;
use crate::salesforce::Org;
use crate::salesforce::soql::Query;

use super::{Error, select};

/// Records as Salesforce sent them just now.
#[derive(Debug)]
pub struct Sample {
    /// The fields that were asked for.
    pub fields: Vec<String>,
    /// The field that tells when a record last changed, for objects that have one.
    pub stamp_field: Option<String>,
    /// The records, by id: each as Salesforce sent it.
    pub records: Vec<(RecordId, String)>,
}

/// Asks for the first `limit` records (by Id) that a sync would read for a plugin with these fields: one call, and one
/// more when the object's fields are not known or may have changed. Every call is permitted and counted as any other.
pub async fn sample(
    org: &Org,
    sync: &SyncConfig,
    reads: &[Field],
    limit: u16,
) -> Result<Sample, Error> {
    let lease = org.draw(&sync.connections, sync.failover, &[]);
    let connection = lease.as_ref().map_or(&sync.connections.first, |lease| lease.name()).clone();
    let caller = Caller { connection, sync: Some(sync.name.clone()), run: None, page: None };
    let object = org.describe(&caller, &sync.object).await?;
    let selected = select(sync, reads, &object)?;
    let query = Query {
        object: sync.object.clone(),
        fields: selected.fields.clone(),
        stamp: selected.tracking.stamp().map(str::to_owned),
        has_deleted: selected.sees_deletions,
        filter: sync.filter.clone(),
        window: None,
        limit: Some(u32::from(limit)),
    };
    let page = org
        .query(&caller, &query.text()?, false, &selected.selection, limit.max(200), None)
        .await?;
    let records = page.batch.records.iter().take(usize::from(limit));
    let records = records.map(|one| (one.id, page.batch.slice(one.at).to_owned())).collect();
    Ok(Sample {
        fields: selected.fields,
        stamp_field: selected.tracking.stamp().map(str::to_owned),
        records,
    })
}
