//! Codes of deliveries to other systems.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
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
        "deliver.client",
        "nothing can be sent",
        "The client that sends changes and alerts could not be made.",
        "look at the certificates that the system trusts, and report this",
    ),
    of(
        "deliver.gone",
        "changes went before they could be sent",
        "The feed is kept for a while only, as [keep] says, and the destination was away for longer. What went cannot be sent again.",
        "fill the destination from a snapshot (`kilofold feed --snapshot`), then discard this entry",
    ),
    of(
        "deliver.no-letter",
        "there is no such dead letter",
        "The destination has taken the change by now, or it was forgotten.",
        "list what was not taken with `kilofold consumers --dead NAME`",
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
];
