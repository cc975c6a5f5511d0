use kilofold_plugin::prelude::*;

#[derive(Output)]
struct Person {
    #[key]
    id: String,
}
