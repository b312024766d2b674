//! What a person at the terminal sees.

use anyhow::Error;

/// Prints a line of output.
#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Prints a line about progress, or a warning, to standard error.
#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// Spells an error with its causes in one line. A cause that its error spells already is left out.
pub fn describe(error: &Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_spelled_once() {
        let cause = std::io::Error::other("no space");
        assert_eq!(describe(&Error::from(cause).context("cannot write")), "cannot write: no space");
        let spelled = anyhow!("cannot write: no space");
        assert_eq!(describe(&anyhow!("no space").context(spelled)), "cannot write: no space");
    }
}
