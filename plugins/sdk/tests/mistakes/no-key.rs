use kilofold_plugin::prelude::*;

#[derive(Output)]
#[kind("person")]
struct Person {
    id: String,
}
