//! Pages of Contacts as an org sends them.

use bytes::Bytes;
use jiff::Timestamp;
use kilofold::model::{Batch, Selection};
use org_sim::{Org, Sizes};

use super::Result;

/// Records of a page.
pub const SIZE: usize = 1000;

/// What is selected beside the fields that the plugin reads, so that a record has about 1.2 KB.
const MORE: &str = "Description, External_Ref__c, SystemModstamp, IsDeleted";

/// One answer to a query.
pub struct Page {
    /// Its text.
    pub text: Bytes,
    /// What is looked for in it.
    pub selection: Selection,
    /// The same, read.
    pub batch: Batch,
}

/// So many pages.
pub fn make(fields: &[String], pages: usize) -> Result<Vec<Page>> {
    let now = Timestamp::from_second(1_780_000_000)?;
    let sizes = [("Contact", SIZE * pages), ("Account", SIZE)];
    let sizes = sizes.map(|(name, size)| (name.to_owned(), size)).to_vec();
    let org = Org::new(1, &Sizes(sizes), now);
    let soql =
        format!("SELECT {}, {MORE} FROM Contact ORDER BY SystemModstamp, Id", fields.join(", "));
    let found = org.query(&soql, true, now)?;
    let selection = Selection::new(fields, Some("SystemModstamp"));
    (0..pages)
        .map(|page| Page::new(&org.page(&found, page * SIZE, SIZE, "62.0"), &selection))
        .collect()
}

impl Page {
    /// A page of these records, a JSON list.
    pub fn new(records: &[u8], selection: &Selection) -> Result<Self> {
        let mut text = br#"{"totalSize":1000,"done":true,"records":"#.to_vec();
        text.extend_from_slice(records);
        text.push(b'}');
        let text = Bytes::from(text);
        let batch = selection.read_answer(&text)?.batch;
        Ok(Self { text, selection: selection.clone(), batch })
    }

    /// The same records with another e-mail address and another last name each.
    pub fn changed(&self) -> Result<Self> {
        let text = std::str::from_utf8(&self.text)?;
        let text = text
            .replace("\"Email\":\"", "\"Email\":\"x")
            .replace("\"LastName\":\"", "\"LastName\":\"X");
        let records = text.split_once("\"records\":").ok_or("no records")?.1;
        Self::new(records.trim_end_matches('}').to_owned().as_bytes(), &self.selection)
    }
}
