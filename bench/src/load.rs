//! Callers that ask again as soon as they are answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::measure::Outcome;

/// What callers saw for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Answers in a second.
    pub(crate) per_second: f64,
    /// How long each took in microseconds, the shortest first.
    pub(crate) micros: Vec<f64>,
}

impl Sample {
    /// What so many of a hundred did not exceed, in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let at = (self.micros.len() * percent / 100).min(self.micros.len().saturating_sub(1));
        self.micros.get(at).copied().unwrap_or_default()
    }

    /// Half of them took less, in microseconds.
    pub(crate) fn p50(&self) -> f64 {
        self.percentile(50)
    }
}

/// Lets every caller work over and over for some seconds. Each has worked once before, so that connections are made.
pub(crate) async fn closed<C, F>(
    callers: Vec<C>,
    seconds: f64,
    work: impl Fn(Arc<C>) -> F + Clone + Send + 'static,
) -> Outcome<Sample>
where
    C: Send + Sync + 'static,
    F: Future<Output = Outcome<()>> + Send,
{
    let callers: Vec<Arc<C>> = callers.into_iter().map(Arc::new).collect();
    for caller in &callers {
        work(Arc::clone(caller)).await?;
    }
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(seconds);
    let mut tasks = JoinSet::new();
    for caller in callers {
        let work = work.clone();
        tasks.spawn(async move {
            let mut micros = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                work(Arc::clone(&caller)).await?;
                micros.push(began.elapsed().as_secs_f64() * 1e6);
            }
            Outcome::Ok(micros)
        });
    }
    let mut micros = Vec::new();
    while let Some(task) = tasks.join_next().await {
        micros.extend(task??);
    }
    let per_second = to_f64(micros.len()) / began.elapsed().as_secs_f64();
    micros.sort_by(f64::total_cmp);
    Ok(Sample { per_second, micros })
}

/// A count as a number to calculate with.
pub(crate) fn to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
