//! The program `kilofold`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kilofold::cli::main()
}
