//! The binary `duckblind-verifier`.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use duckblind_protocol::coded::{Coded as _, render, render_json};
use duckblind_verifier::cli::{self, Arguments, Output};
use duckblind_verifier::error::VerifierError;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    let mut stdout = std::io::stdout().lock();
    let mut output = Output::new(&mut stdout, json);
    let done = cli::run(arguments, &mut output).and_then(|()| {
        output
            .finish()
            .map_err(|error| VerifierError::Runtime(error.to_string()))
    });
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    let text = if json {
        format!("{}\n", render_json(&error))
    } else {
        render(&error)
    };
    // Nobody is left to tell if stderr is gone too.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(error.exit().code())
}
