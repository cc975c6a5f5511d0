//! Codes of plugins, beside the codes that their room explains.

use super::{Explained, of};

/// In alphabetical order.
pub(super) const ALL: &[Explained] = &[
    of(
        "plugin.object",
        "the plugin does not map the object",
        "The plugin names the objects that it maps, and the sync's is not among them.",
        "name another plugin for the sync; `passthrough` maps any object",
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
