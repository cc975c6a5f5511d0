use kilofold_plugin::prelude::*;

#[derive(Settings)]
struct Config {
    #[setting(default = "moon", choices("eu", "us"))]
    home: String,
}
