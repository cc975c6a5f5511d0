//! Codes of the host: its configuration, its command line, its schedule and runs.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "check.failed",
        "the check found problems",
        "The configuration would not run as it stands.",
        "mend what the check names",
    ),
    of(
        "cli.log",
        "logging cannot start",
        "Something else has set up logging in this process.",
        "report this",
    ),
    of(
        "cli.output",
        "the result cannot be written",
        "Standard output took no more.",
        "look at where it goes: a full disk, or a program that ended",
    ),
    of(
        "cli.runtime",
        "threads cannot be started",
        "The system gave no threads.",
        "look at the limits of the process (ulimit -u)",
    ),
    of(
        "config.exists",
        "the file is there already",
        "`kilofold init` overwrites nothing.",
        "name another path, or move the file away",
    ),
    of(
        "config.filter",
        "the filter is not a condition",
        "The filter of a sync must be a SOQL condition, without the word WHERE.",
        "mend the place that is shown",
    ),
    of(
        "config.invalid",
        "the configuration has faults",
        "Nothing runs on a configuration that is not understood whole.",
        "mend the places that are shown",
    ),
    of(
        "config.key",
        "a key or section that is not known",
        "A key that nobody reads would be a setting that does nothing.",
        "correct the spelling, or remove it",
    ),
    of("config.missing", "a key is missing", "There is no usual value for it.", "add the key"),
    of(
        "config.read",
        "the configuration cannot be read",
        "There is no such file, or it cannot be opened.",
        "run `kilofold init`, or name the file with --config",
    ),
    of(
        "config.secret",
        "a secret cannot be read",
        "The variable or file that the configuration names has no secret.",
        "set the variable, or write the secret into the file",
    ),
    of(
        "config.secret-in-file",
        "a secret stands in the configuration",
        "Configurations are copied and shared; secrets must not be.",
        "move it into an environment variable or a file and name that: { env = \"NAME\" }",
    ),
    of(
        "config.syntax",
        "not TOML",
        "The file breaks TOML's rules.",
        "mend the place that is shown",
    ),
    of(
        "config.value",
        "a value that cannot be",
        "The value is not one of those that the key takes.",
        "mend the place that is shown",
    ),
    of(
        "config.write",
        "the configuration cannot be written",
        "The file or its folder takes no writing.",
        "name another path, or change the folder's rights",
    ),
    of(
        "host.task",
        "a task ended early",
        "A piece of kilofold ended before its work was done.",
        "see the log, and report it",
    ),
    of(
        "remap.not-fetched",
        "the stored records lack a field",
        "The plugin cannot do without a field that the last run did not fetch, so a remap would fail every record.",
        "let the sync run once, so that changed records bring the field; or make the field optional in the plugin",
    ),
    of(
        "run.interrupted",
        "the run was interrupted",
        "The host stopped or died in the middle of it. What was committed stays.",
        "nothing; the next run goes on there",
    ),
    of(
        "run.lost",
        "the run does not show",
        "The host took the wish, but no run came of it: it could not be stored, or the sync was paused meanwhile.",
        "see the log of `kilofold serve`",
    ),
    of(
        "run.panic",
        "kilofold itself failed",
        "A piece of kilofold ended with a panic.",
        "see the log, and report it",
    ),
    of(
        "run.unknown",
        "there is no such run",
        "The store has no run of that number.",
        "list the runs with `kilofold imports`",
    ),
    of(
        "schedule.pauses",
        "pauses cannot be kept",
        "Which syncs are paused could not be read or written.",
        "look at the store and at the disk",
    ),
    of(
        "schedule.stopped",
        "the host is stopping",
        "Nothing more is started.",
        "start `kilofold serve` again",
    ),
    of(
        "sync.disabled",
        "the sync is switched off",
        "The configuration has enabled = false for it.",
        "switch it on in kilofold.toml",
    ),
    of(
        "sync.no-fields",
        "the sync reads no fields",
        "Neither the configuration nor the plugin names one.",
        "set `fields` to a list or to \"all\"",
    ),
    of(
        "sync.paused",
        "the sync is paused",
        "A person paused it, or its plugin broke on more records than is borne; `kilofold sync list` says which.",
        "resume it with `kilofold sync resume NAME`",
    ),
    of(
        "sync.running",
        "the sync is running",
        "A sync does not overlap with itself.",
        "wait for its end: `kilofold imports`",
    ),
    of(
        "sync.unknown",
        "there is no such sync",
        "The configuration has no [[sync]] of that name.",
        "list the syncs with `kilofold sync list`",
    ),
    of(
        "usage.connection",
        "which connection is meant",
        "Several connections need a browser, and it can be at one place only.",
        "name one: `kilofold connect NAME`; list them with `kilofold connections`",
    ),
    of(
        "usage.code",
        "there is no such code",
        "Codes stand in brackets behind errors, and in `kilofold import RUN`.",
        "list them all with `kilofold explain`",
    ),
    of(
        "usage.log",
        "the log filter cannot be read",
        "--log takes a level or a list of targets and levels.",
        "write it like `info` or `warn,kilofold::sync=debug`",
    ),
    of(
        "usage.password",
        "that is no password",
        "A password opens the page to whoever can reach it, so it must not be one that is guessed.",
        "choose ten characters or more; a sentence is easy to keep in mind",
    ),
];
