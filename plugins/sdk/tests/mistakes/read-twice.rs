use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Contact<'a> {
    id: &'a str,
    #[field("Id")]
    key: &'a str,
}
