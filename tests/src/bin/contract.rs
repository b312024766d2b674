//! What `make check` asks of the contract of the HTTP API.

use std::process::ExitCode;

use conversation_tests::contract::Contract;

/// Compares its routes with the functions', the template's and the local ones.
#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
fn main() -> ExitCode {
    match Contract::load().and_then(|contract| contract.check()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
