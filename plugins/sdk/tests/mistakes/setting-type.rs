use kilofold_plugin::prelude::*;

#[derive(Settings)]
struct Config {
    regions: Vec<String>,
}
