//! Codes of the store and what lies in it.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "feed.acknowledged",
        "that cannot be acknowledged",
        "A consumer stands at one number of the feed: not ahead of its end, and not back behind what it acknowledged before unless it asks to.",
        "acknowledge the `next` of the answer that was worked through; send rewind = true to read again",
    ),
    of(
        "feed.consumer-unknown",
        "there is no such consumer",
        "Nobody has read the feed by that name, or it was forgotten.",
        "list the consumers with `kilofold consumers`; the first acknowledgement makes one",
    ),
    of(
        "feed.gone",
        "you are too far behind: take a snapshot",
        "The feed is kept for a while only, as [keep] says, and changes that were asked for have gone, so a reader that went on would miss them.",
        "take a snapshot (GET /api/v1/snapshot, or `kilofold feed --snapshot`) and go on from the number in its last line",
    ),
    of(
        "output.conflict",
        "two records claim one output",
        "An output belongs to one record of its sync. This record yields one of a kind and key that another record has, or the same one twice; the first keeps it.",
        "let the plugin make keys that no two records share, for example from the record's Id",
    ),
    of(
        "record.unknown",
        "there is no such record",
        "The store has no record of that id for this sync.",
        "list the records with `kilofold records SYNC`",
    ),
    of(
        "store.damaged",
        "the store is damaged",
        "What was read is not what was written. Damaged data is never served.",
        "restore a backup, or move the store's folder away: every sync then reads everything anew",
    ),
    of(
        "store.full",
        "the disk is full",
        "Nothing that was acknowledged is lost.",
        "make room and start again",
    ),
    of(
        "store.io",
        "the store cannot be read or written",
        "The operating system refused.",
        "see its words; look at the disk and at the folder's rights",
    ),
    of(
        "store.locked",
        "the store is in use",
        "Another kilofold holds the store.",
        "stop it; or let it serve, then commands ask it through its API",
    ),
    of(
        "store.newer",
        "a later kilofold wrote the store",
        "This kilofold does not know the store's format.",
        "use the later one",
    ),
    of(
        "store.no-run",
        "the run is not open",
        "Something was to be stored for a run that has ended.",
        "report this",
    ),
    of(
        "store.none",
        "there is no store yet",
        "Nothing was imported with this configuration.",
        "run `kilofold sync now` or `kilofold serve`, or name another configuration with --config",
    ),
    of(
        "store.not-stored",
        "a record is not stored",
        "A record was called unchanged that the store does not hold.",
        "report this",
    ),
    of(
        "store.record",
        "a stored record cannot be read",
        "A record that the store keeps cannot be read as one.",
        "report this, with the record's id",
    ),
    of(
        "store.stopped",
        "the store takes no more writes",
        "An earlier write failed, and nothing is written until the store has been opened again.",
        "look at the disk and start again",
    ),
    of(
        "store.unfit",
        "a value cannot be stored",
        "It is not text, or has outgrown its key.",
        "see what the message names",
    ),
    of(
        "store.verdicts",
        "a batch and its answer do not fit",
        "Another number of outcomes came than there were records.",
        "report this",
    ),
];
