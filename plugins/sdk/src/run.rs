//! From a batch to its answer; what `mapper!` calls.

use crate::{Batch, Description, Kinds, Outcomes, Outputs, Record, Reject, Row, Settings, host};

/// A whole plugin; `mapper!` writes it.
pub trait Mapper {
    /// The settings that it takes; `()` for none.
    type Settings: Settings;

    /// What it is, reads and makes.
    ///
    /// # Errors
    /// When the outputs contradict each other.
    fn describe() -> Result<Description, String>;

    /// Maps a batch.
    fn map<'b>(settings: &Self::Settings, batch: &Batch<'b>) -> Outcomes<'b>;
}

/// The kinds that a return type declares.
pub fn kinds<T: Outputs>() -> Kinds {
    let mut kinds = Kinds::default();
    T::declare(&mut kinds);
    kinds
}

/// The kinds that a return type declares, or how they contradict each other.
///
/// # Errors
/// Names a kind that is declared with different fields.
pub fn declared<T: Outputs>() -> Result<Vec<crate::OutputKind>, String> {
    kinds::<T>().checked()
}

/// Maps a batch, record by record.
pub fn each<'b, T: Outputs>(
    batch: &Batch<'b>,
    fields: usize,
    mut map: impl FnMut(&Row<'b>) -> Result<T, Reject>,
) -> Outcomes<'b> {
    check(batch, fields);
    let mut out = Outcomes::new(batch, kinds::<T>());
    for (index, row) in batch.rows().enumerate() {
        let index = index as u32;
        host::in_hand(Some(index));
        out.record(index, map(&row));
    }
    host::in_hand(None);
    out
}

/// Maps a batch at once; records that cannot be read fail by themselves and are not handed to `map`.
///
/// # Panics
/// When `map` does not answer for every record that it was given.
pub fn all<'b, R: Record<'b>, T: Outputs>(
    batch: &Batch<'b>,
    map: impl FnOnce(Vec<R>) -> Vec<Result<T, Reject>>,
) -> Outcomes<'b> {
    check(batch, R::FIELDS.len());
    let mut records = Vec::with_capacity(batch.len());
    let mut unread = Vec::new();
    for (index, row) in batch.rows().enumerate() {
        match R::read(&row) {
            Ok(record) => records.push(record),
            Err(reject) => unread.push((index, reject)),
        }
    }
    let given = records.len();
    let answers = map(records);
    assert!(
        answers.len() == given,
        "the mapping returned {} answers for {given} records",
        answers.len()
    );
    let mut out = Outcomes::new(batch, kinds::<T>());
    let (mut answers, mut unread) = (answers.into_iter(), unread.into_iter().peekable());
    for index in 0..batch.len() {
        let made = match unread.next_if(|(at, _)| *at == index) {
            Some((_, reject)) => Some(Err(reject)),
            None => answers.next(),
        };
        // The counts were proved equal above, so there is an answer for every record.
        if let Some(made) = made {
            out.record(index as u32, made);
        }
    }
    out
}

fn check(batch: &Batch<'_>, fields: usize) {
    let sent = batch.context.fields.len();
    assert!(
        fields == 0 || sent == fields,
        "the host sent {sent} fields where the mapping reads {fields}"
    );
}
