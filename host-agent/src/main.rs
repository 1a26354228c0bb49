//! `duckblind-host`: see [`duckblind_host`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    duckblind_host::cli::main()
}
