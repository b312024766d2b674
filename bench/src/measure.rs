//! What the parts of the benchmark have in common.

/// A result with whatever went wrong.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many ask at the same time.
pub(crate) const CALLERS: [usize; 3] = [1, 8, 50];
/// Measures two things in turn, so often; each goes first every other time.
pub(crate) async fn in_turn<T>(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Outcome<T>,
    mut theirs: impl AsyncFnMut() -> Outcome<T>,
) -> Outcome<Vec<(T, T)>> {
    let mut pairs = Vec::new();
    for round in 0..rounds {
        pairs.push(if round % 2 == 0 {
            let first = ours().await?;
            (first, theirs().await?)
        } else {
            let first = theirs().await?;
            (ours().await?, first)
        });
    }
    Ok(pairs)
}

#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
