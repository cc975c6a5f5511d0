//! Codes of plugins, beside the codes that their room explains.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "plugin.build",
        "the plugin could not be built",
        "kilofold builds a project with the project's own tools, and they did not make a component.",
        "mend what the tools say; build by hand and name the component with --plugin FILE",
    ),
    of(
        "plugin.case",
        "a test case cannot be used",
        "A case is records as Salesforce sends them, alone or with settings and the like, and what is expected of them.",
        "mend the file at the place that is named",
    ),
    of(
        "plugin.no-cases",
        "there are no test cases",
        "Cases are files NAME.input.json, and none was found, or none has a name that was asked for.",
        "write records as Salesforce sends them into cases/NAME.input.json, and run `kilofold plugin test --update`",
    ),
    of(
        "plugin.no-former",
        "there is no former plugin",
        "A sync can go back to a component that it used before, as long as that is kept beside the store.",
        "give the component's file: `kilofold plugin enable FILE --sync NAME`",
    ),
    of(
        "plugin.not-kept",
        "the component is not kept",
        "A host takes components from the folder beside its store, by their digests, and this one is not there.",
        "run `kilofold plugin enable` on the host's machine, with its configuration",
    ),
    of(
        "plugin.nondeterministic",
        "the plugin maps the same records in two ways",
        "The same records with the same settings came out otherwise the second time. A remap would then change outputs for nothing.",
        "look for maps without an order, and for whatever else differs from call to call",
    ),
    of(
        "plugin.object",
        "the plugin does not map the object",
        "The plugin names the objects that it maps, and the sync's is not among them.",
        "name another plugin for the sync; `passthrough` maps any object",
    ),
    of(
        "plugin.pinned",
        "the configuration pins the plugin",
        "`plugin_digest` names the only component that may map the sync, so nobody can choose another one beside it.",
        "change `plugin_digest` and `plugin` in the configuration, or take `plugin_digest` out",
    ),
    of(
        "plugin.tried-out",
        "the plugin does badly on stored records",
        "Before another component takes over it maps some stored records, and nothing is written. This one broke, or failed them all, so the present one goes on.",
        "look at the record with `kilofold plugin run FILE --sync NAME`, mend the plugin, and try again",
    ),
    of(
        "plugin.write",
        "the project cannot be written",
        "A file of the project that `kilofold plugin new` begins could not be written; those before it were.",
        "look at the folder's rights and the room on the disk, take the half-written folder away, and begin again",
    ),
    of(
        "usage.describe",
        "the file is no describe of the object",
        "`--describe` wants what Salesforce answers to `sobjects/OBJECT/describe`, of the object that `--object` names.",
        "save that answer anew, or leave --describe out to ask the org",
    ),
    of(
        "usage.object",
        "the object is not known here",
        "Without an org or a saved describe, only the fields of standard objects are known.",
        "give a saved describe (--describe FILE), or run this beside a kilofold.toml with a connection",
    ),
    of(
        "usage.plugin-exists",
        "the folder is there already",
        "`kilofold plugin new` overwrites nothing.",
        "take another name, or move the folder away",
    ),
    of(
        "usage.plugin-name",
        "this cannot be a plugin's name",
        "The name becomes a folder, a package and a file in every language.",
        "take small letters, digits and single hyphens, such as contact-mapper",
    ),
];
