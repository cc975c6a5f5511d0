use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Contact<'a> {
    id: &'a str,
}

mapper!(Contact => (), map, object: "Contact");
