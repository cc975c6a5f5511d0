//! The schemas that runs read, each stored once under its digest.

use super::Store;
use super::block;
use super::disk::Writes;
use super::error::Error;
use super::layout::Space;
use super::meta::{from_json, to_json};
use crate::model::Schema;

impl Store {
    /// Stores a schema unless it is known, and tells its digest. Durable with the next commit.
    pub fn put_schema(&self, schema: &Schema) -> Result<String, Error> {
        let digest = schema.digest();
        let key = Space::Schema.name(&digest);
        if self.0.disk.get(&key)?.is_none() {
            let packed = self.writer().packer.pack(&to_json("a schema", schema)?)?;
            let mut writes = Writes::default();
            writes.put_long(key, &packed);
            self.0.disk.apply(writes)?;
        }
        Ok(digest)
    }

    /// The schema of this digest.
    pub fn schema(&self, digest: &str) -> Result<Option<Schema>, Error> {
        let key = Space::Schema.name(digest);
        let Some(packed) = self.0.disk.get_long(&key)? else { return Ok(None) };
        from_json(&key, &block::unpack(&key, &packed)?).map(Some)
    }
}
