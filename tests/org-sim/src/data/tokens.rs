//! The records of OauthToken: Salesforce's own list of approvals, made of who has approved what.

use std::borrow::Cow;

use jiff::Timestamp;

use super::index::ByStamp;
use super::value::Value;
use crate::org::{Org, Row};

/// The object.
pub(crate) const OBJECT: &str = "OauthToken";

/// One line of the list.
#[derive(Debug, Clone)]
pub(crate) struct TokenRow {
    pub(crate) app: String,
    pub(crate) user_id: String,
    /// The refresh token: why nobody should ask for this column.
    pub(crate) token: String,
    pub(crate) made: Timestamp,
    pub(crate) last_used: Timestamp,
    pub(crate) uses: u64,
}

impl Org {
    /// Puts these lines in place of the list as it was.
    pub(crate) fn set_tokens(&mut self, lines: &[TokenRow]) {
        let Some(table) = self.table_mut(OBJECT) else { return };
        table.overrides.clear();
        table.rows.clear();
        // Of pages that were rendered before none is like these.
        table.revision += 1;
        let revision = u32::try_from(table.revision % (1 << 32)).unwrap_or_default();
        for (number, line) in (0_u32..).zip(lines) {
            let made = line.made.as_second();
            table.rows.push(Row {
                created: made,
                modified: made,
                stamp: made,
                edits: 0,
                revision,
                deleted: false,
                purged: false,
                overridden: true,
            });
            let text = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
            for (field, value) in [
                ("AccessToken", text(&line.token)),
                ("AppName", text(&line.app)),
                ("LastUsedDate", Value::Time(line.last_used.as_second())),
                ("UseCount", Value::Int(i64::try_from(line.uses).unwrap_or(i64::MAX))),
                ("UserId", text(&line.user_id)),
            ] {
                let place = table.object().field(field).and_then(|at| u16::try_from(at).ok());
                if let Some(place) = place {
                    table.overrides.insert((number, place), value);
                }
            }
        }
        table.by_stamp = ByStamp::default();
    }
}
