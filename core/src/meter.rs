//! What an operation asks of the stores: measured for whoever wants to know, and a span each for whoever follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

/// How often a store was asked, and how long that took in all: from the question to the answer, a connection that had to be
/// opened included, but for what of it was done while the other store was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    /// How often.
    pub times: u64,
    /// How long, in all.
    pub took: Duration,
}

/// What a piece of work asked of the stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Of Redis.
    pub redis: CallStats,
    /// Of Postgres.
    pub postgres: CallStats,
    /// How often Redis refused what it was asked: it is full or read-only, or does not know or allow a command.
    pub redis_refused: u64,
}

/// Runs a piece of work and measures what it asks of the stores.
pub async fn metered<F: Future>(work: F) -> (F::Output, StoreStats) {
    let meter = Arc::new(Meter::default());
    let done = METER.scope(Arc::clone(&meter), work).await;
    let redis_refused = meter.redis_refused.load(Ordering::Relaxed);
    (done, StoreStats { redis: meter.redis.read(), postgres: meter.postgres.read(), redis_refused })
}

tokio::task_local! {
    static METER: Arc<Meter>;
}

#[derive(Debug, Default)]
struct Meter {
    redis: Counter,
    postgres: Counter,
    redis_refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Counter {
    times: AtomicU64,
    nanos: AtomicU64,
}

impl Counter {
    fn add(&self, took: Duration) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> CallStats {
        let took = Duration::from_nanos(self.nanos.load(Ordering::Relaxed));
        CallStats { times: self.times.load(Ordering::Relaxed), took }
    }
}

/// A question to Redis.
pub(crate) fn timed_redis<F: Future>(question: F) -> impl Future<Output = F::Output> {
    let question = question.instrument(tracing::trace_span!("redis", otel.kind = "client"));
    measure(question, |meter| &meter.redis)
}

/// Notes that Redis refused what it was asked.
pub(crate) fn note_refusal() {
    // Where nobody measures, nobody wants to know.
    let _ = METER.try_with(|meter| meter.redis_refused.fetch_add(1, Ordering::Relaxed));
}

/// A question to Postgres.
pub(crate) fn timed_postgres<F: Future>(question: F) -> impl Future<Output = F::Output> {
    let question = question.instrument(tracing::trace_span!("postgres", otel.kind = "client"));
    measure(question, |meter| &meter.postgres)
}

async fn measure<F: Future>(question: F, counter: fn(&Meter) -> &Counter) -> F::Output {
    let Ok(meter) = METER.try_with(Arc::clone) else { return question.await };
    let began = Instant::now();
    let answer = question.await;
    counter(&meter).add(began.elapsed());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_within_is_measured_and_nothing_else() {
        timed_redis(async {}).await;
        let ((), metered) = metered(async {
            timed_redis(tokio::time::sleep(Duration::from_millis(2))).await;
            tokio::join!(timed_redis(async {}), timed_postgres(async {}));
        })
        .await;
        assert_eq!((metered.redis.times, metered.postgres.times), (2, 1));
        assert!(metered.redis.took >= Duration::from_millis(2), "{metered:?}");
    }
}
