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
        "deliver.address",
        "nothing takes deliveries at this address",
        "Something answers there, but not as a receiver of changes does: nothing is at the path, or it leads elsewhere. Redirects are not followed, for they could carry data to another host.",
        "mend `url` of the [[deliver]] in kilofold.toml, and start `kilofold serve` again; changes are kept and sent then",
    ),
    of(
        "deliver.busy",
        "the destination cannot take changes now",
        "It answers, but with an error of its own or because too much came at once. Changes are sent again with longer and longer waits, in order.",
        "wait, or see to the destination; what is not taken within `give_up` (3d when left out) is put aside, to be sent again when asked",
    ),
    of(
        "deliver.gone",
        "changes went before they could be sent",
        "The feed is kept for a while only, as [keep] says, and the destination was away for longer. What went cannot be sent again.",
        "fill the destination from a snapshot (`kilofold feed --snapshot`), then discard this entry",
    ),
    of(
        "deliver.refused",
        "the destination refuses this change",
        "It answered that what is in the change is wrong (HTTP 400, 413 or 422), so the same would be refused again. The change was put aside and the next ones went on.",
        "see its words; mend the record in Salesforce, the plugin, or the destination. A mended record is sent by itself; otherwise send the change again",
    ),
    of(
        "deliver.secret",
        "the destination does not accept our secret",
        "It answered with HTTP 401 or 403: the key of the signature or the write key is not one that it knows, or may not write there.",
        "set `secret` of the [[deliver]] anew, and start `kilofold serve` again; changes are kept and sent then",
    ),
    of(
        "deliver.unfit",
        "the change does not fit into what the destination takes",
        "Segment's API takes calls of at most 32 KiB, and this change makes a larger one.",
        "let the plugin make smaller outputs, or leave the kind out with `kinds` of the [[deliver]]",
    ),
    of(
        "deliver.unreachable",
        "the destination gives no answer",
        "No connection could be made, or nothing was answered in time. Changes are kept and sent again, in order.",
        "see that the destination runs, and that `url` of the [[deliver]], a proxy and a firewall let this host reach it",
    ),
    of(
        "deliver.no-letter",
        "there is no such dead letter",
        "The destination has taken the change by now, or it was forgotten.",
        "list what was not taken with `kilofold consumers --dead NAME`",
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
