//! Codes of API calls: limits and the ledger.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "limit.allowance",
        "kilofold's allowance is spent",
        "kilofold has spent the share of the org's day that [quota] allows it.",
        "it goes on by itself; raise `allowance` to spend more",
    ),
    of(
        "limit.backfill",
        "the share of first passes is spent",
        "First passes over an object may spend a share of the allowance in 24 hours, so that they do not starve regular \
         runs. Half of it they have whatever these need, the rest when these leave it.",
        "it goes on by itself; raise `backfill` under [quota] to be done sooner",
    ),
    of(
        "limit.concurrent",
        "too many requests at once",
        "Too many requests run in the org at this moment.",
        "it goes on by itself; run fewer syncs at a time",
    ),
    of(
        "limit.daily",
        "the org's calls are spent",
        "The org has spent its API calls of 24 hours: ours, or those of other applications.",
        "it goes on by itself when calls come free",
    ),
    of(
        "limit.long-running",
        "too many long requests",
        "Too many requests that take more than 20 seconds run in the org, of all applications. kilofold waited, asked for less at once, and was still refused.",
        "it goes on by itself where it stopped, and asks for less at once; filter by an indexed field",
    ),
    of(
        "limit.priority",
        "what is left is kept back for others",
        "Few calls are left, and more important syncs are expected to need them within 24 hours. First passes come after \
         all regular runs. To the least important sync the calls of one run a day are left all the same, to first passes \
         half of their share; this one has spent that. `kilofold limits` shows what is kept back for whom.",
        "it goes on by itself; raise the sync's `priority`, or the allowance under [quota]",
    ),
    of(
        "limit.reserve",
        "only the reserve is left",
        "What is left of the org's day is reserved for other applications.",
        "it goes on by itself; lower `reserve` under [quota] to spend more",
    ),
    of(
        "limit.run",
        "the run's cap is reached",
        "The run has spent the calls that one run may spend.",
        "the next run goes on there; raise `per_run` under [quota]",
    ),
    of(
        "quota.journal",
        "the journal of calls cannot be kept",
        "Every call is written down before it is sent, so that a crash cannot hide one. Without that none is sent.",
        "look at the store and at the disk",
    ),
    of(
        "quota.not-free",
        "a counted call without a permit",
        "A piece of kilofold asked for a free pass for a call that Salesforce counts.",
        "report this",
    ),
    of(
        "quota.stopping",
        "the host is stopping",
        "No new call is begun while the host stops.",
        "nothing; the next run goes on there",
    ),
];
