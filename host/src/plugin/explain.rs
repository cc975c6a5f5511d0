//! What every code of this room means, and what to do about it.

/// What a code means and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// The code.
    pub code: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub cure: &'static str,
}

const fn of(code: &'static str, meaning: &'static str, cure: &'static str) -> Explanation {
    Explanation { code, meaning, cure }
}

/// The explanation of a code of this room.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    EXPLANATIONS.iter().find(|explanation| explanation.code == code)
}

/// Every code of this room.
pub const EXPLANATIONS: &[Explanation] = &[
    of(
        "plugin.api-mismatch",
        "The plugin uses the names of the contract kilofold:mapping with types other than the released ones.",
        "Build it from the released wit/ folder, or with the SDK of this release, without changing records or functions.",
    ),
    of(
        "plugin.api-version",
        "The plugin was built for another major release of the contract, or uses a function that this kilofold does not have yet.",
        "Rebuild it with the SDK of this release, or update kilofold.",
    ),
    of(
        "plugin.batch",
        "The records cannot be handed to the plugin, because their declared fields have too much text or the stored text is damaged.",
        "Lower the sync's page size, or select fewer long text fields.",
    ),
    of(
        "plugin.cache",
        "Compiled plugins are machine code, so they are only kept in a folder that nobody but its owner can write or read.",
        "Give the folder to the user that runs kilofold and run chmod 700 on it, or delete it.",
    ),
    of(
        "plugin.compile",
        "The file is a component, but it is not valid, or uses a part of WebAssembly that is switched off.",
        "Build it again with a current toolchain; if it was downloaded, compare its digest: it may be cut short.",
    ),
    of(
        "plugin.compile-memory",
        "Compiling the plugin took more memory than allowed, and was stopped. It is compiled in a process of its own, so that nothing else suffers.",
        "Make the component smaller or split huge functions, or raise `compile_memory` in [plugins].",
    ),
    of(
        "plugin.compile-timeout",
        "Compiling the plugin took longer than allowed, and was stopped. It is compiled in a process of its own, so that nothing else suffers.",
        "Make the component smaller or split huge functions, or raise `compile_time` in [plugins].",
    ),
    of(
        "plugin.component-too-large",
        "The component has more bytes than allowed.",
        "Build it in release mode and without debug information, or raise `component` in [plugins].",
    ),
    of(
        "plugin.core-module",
        "The file is a core WebAssembly module. A plugin is a component: a module with its typed contract around it.",
        "Build it for wasm32-wasip2, or make a component of it with: wasm-tools component new plugin.wasm -o plugin.component.wasm",
    ),
    of(
        "plugin.description",
        "What the plugin tells of itself (name, fields, outputs, settings) breaks a rule, so that nothing can be built on it.",
        "Mend the description in the plugin's source; with the SDK it is derived from the structs.",
    ),
    of(
        "plugin.digest",
        "The configuration names the digest of the only component that may map the sync, and the one that is there has another.",
        "If the new one is meant, check it with `kilofold plugin check` and put its digest into `plugin_digest`; if not, find out who changed the file.",
    ),
    of(
        "plugin.engine",
        "The WebAssembly engine does not start on this machine.",
        "Look at the engine's words; most often the process may not reserve memory (ulimit -v) or make it executable.",
    ),
    of(
        "plugin.exit",
        "The plugin called exit. A plugin has no process to end.",
        "Return a failed outcome for the record instead of calling exit.",
    ),
    of(
        "plugin.import-denied",
        "The plugin asks for something from outside: files, sockets, HTTP or an interface that kilofold does not know. Plugins get the log, lookup and nothing else.",
        "Remove the library that needs it, or build for wasm32-unknown-unknown to see what uses it.",
    ),
    of(
        "plugin.invalid-output",
        "The plugin's answer for the record breaks the contract, so nothing was stored of it.",
        "Mend what the message names. With the SDK this cannot happen short of a bug in it: please report it.",
    ),
    of(
        "plugin.isolation-timeout",
        "The plugin breaks on records of a batch, and finding which took longer than allowed. Nothing of the batch was stored, and the sync is paused.",
        "The plugin is too slow or hangs on many records: mend it, or raise `time_per_record` or `isolation_time` in [plugins]; then run `kilofold sync resume NAME`.",
    ),
    of(
        "plugin.lookup-limit",
        "The plugin looked up more keys of one batch than allowed.",
        "Look up each key once a batch, or raise `lookup_keys` in [plugins].",
    ),
    of(
        "plugin.lookup-moved",
        "All that a batch looks up is of one moment: when an output changes meanwhile, the batch is mapped from its start. Here that happened again and again. Nothing of the batch was stored.",
        "Look up all keys of a batch in one call; the next run goes on there.",
    ),
    of(
        "plugin.memory",
        "The plugin wanted more memory than it may have. It was refused, and the instance thrown away.",
        "Look for what grows with the record (a copied text, a list), or raise `memory` in [plugins].",
    ),
    of(
        "plugin.memory-start",
        "The plugin wants more memory to start than it may have.",
        "Raise `memory` in [plugins], or shrink the plugin's static data; a Rust plugin needs about 1.1 MiB to start.",
    ),
    of(
        "plugin.missing-field",
        "The plugin declares a field as required, and the records that it is to map do not have it.",
        "Give the connection's user access to the field, or make it optional in the plugin; `kilofold check` names such fields.",
    ),
    of(
        "plugin.no-mapper",
        "The component does not export the contract of a mapping plugin.",
        "Build it for the world table-mapper or json-mapper of wit/mapping.wit; the SDK's macro mapper! does so.",
    ),
    of(
        "plugin.not-component",
        "The file is not WebAssembly, or is cut short.",
        "Give the built component: with Rust it lies at target/wasm32-wasip2/release/NAME.wasm.",
    ),
    of(
        "plugin.panic",
        "The plugin panicked on the record. Only this record failed; the others of its batch were mapped.",
        "The message names the place in the source. Mend it, then run `kilofold retry`: it needs no API call.",
    ),
    of(
        "plugin.precompiled-refused",
        "The file is compiled machine code. It would run without any of the guards of WebAssembly.",
        "Give the .wasm component itself; kilofold compiles it and keeps the result.",
    ),
    of(
        "plugin.result-too-large",
        "The plugin handed over more than may cross in one call or be made of one batch.",
        "Keep outputs small, or raise `result` in [plugins].",
    ),
    of(
        "plugin.settings",
        "The plugin does not accept the settings of the sync.",
        "Mend the settings that the message names, under `config` of the sync.",
    ),
    of(
        "plugin.shelf",
        "Components that were used are kept beside the store, in a folder that nobody but its owner can write or read, with a file for each sync that says which it uses.",
        "Give the folder to the user that runs kilofold and run chmod 700 on it; a damaged file can be deleted, and the sync then uses what the configuration names.",
    ),
    of(
        "plugin.timeout",
        "The plugin took longer than allowed: a base and a share for each record.",
        "Look for a loop that does not end on this record, or raise `time` and `time_per_record` in [plugins].",
    ),
    of(
        "plugin.too-many-traps",
        "The plugin broke on more records of one batch than is borne. Nothing of the batch was stored and nothing is lost, and the sync is paused, because every further run would spend a call and stop at the same records.",
        "Mend the plugin (the last record's message says where it broke) or raise `pause_after` in [plugins], then run `kilofold sync resume NAME`: it goes on there.",
    ),
    of(
        "plugin.trap",
        "The plugin broke off on the record, without a panic's message: a stack overflow, a division by zero, a jump out of memory.",
        "Keep function names in the build (strip = \"debuginfo\" at most), and look at the functions that the message names.",
    ),
    of(
        "plugin.unknown",
        "No stock plugin has this name.",
        "Use one of the names in the message, or give a file: plugin = \"./plugin.wasm\".",
    ),
    of(
        "plugin.unreadable",
        "The plugin's file cannot be read.",
        "Look at path and permissions; a relative path counts from the folder of kilofold.toml.",
    ),
];
