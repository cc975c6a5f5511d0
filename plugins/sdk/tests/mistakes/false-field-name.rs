use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Contact<'a> {
    id: &'a str,
    #[field("Annual Spend")]
    spend: Option<Number<'a>>,
}
