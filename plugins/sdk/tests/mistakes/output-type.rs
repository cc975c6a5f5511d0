use kilofold_plugin::prelude::*;

#[derive(Output)]
#[kind("person")]
struct Person {
    #[key]
    id: String,
    tags: std::collections::HashMap<String, String>,
}
