//! The `ncf` command: see `ncf(8)`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ncf::cli::run(std::env::args_os()))
}
