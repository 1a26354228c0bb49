//! `duckblind-enclave`: see [`duckblind_enclave::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    duckblind_enclave::cli::main()
}
