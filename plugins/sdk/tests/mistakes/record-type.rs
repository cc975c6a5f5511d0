use kilofold_plugin::prelude::*;

#[derive(Record)]
struct Contact {
    id: String,
    birthdate: std::time::SystemTime,
}
