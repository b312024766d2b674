//! Whether and when a request is sent again.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::response::Response;

/// Longer than that no answer makes anybody wait.
const LONGEST: Duration = Duration::from_secs(30);
/// The first pause; each further one is twice as long, up to [`LAST`].
const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(5);

/// Returns how long to wait before a request is sent again; None if that would not help.
pub(crate) fn pause(attempt: u32, outcome: &Result<Response, Error>) -> Option<Duration> {
    let asked = match outcome {
        Ok(response) if is_transient(response) => retry_after(response),
        Err(Error::Transport(_)) => Duration::ZERO,
        _ => return None,
    };
    let growing = FIRST.saturating_mul(2_u32.saturating_pow(attempt)).min(LAST);
    // Jitter, so that callers which failed together do not come back together.
    (asked <= LONGEST).then(|| asked + growing.mul_f64(0.5 + random_share() / 2.0))
}

fn is_transient(response: &Response) -> bool {
    matches!(response.status, 429 | 502..=504) && response.header("x-should-retry") != Some("false")
}

/// How long `Retry-After` asks for, in seconds or as a date.
fn retry_after(response: &Response) -> Duration {
    let Some(text) = response.header("retry-after") else { return Duration::ZERO };
    match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()
            .and_then(|date| date.duration_since(SystemTime::now()).ok())
            .unwrap_or_default(),
    }
}

/// A number from 0 to 1; without randomness the middle.
fn random_share() -> f64 {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::body::Bytes;

    use super::*;
    use crate::transport::{TransportError, TransportFailure};

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Result<Response, Error> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        Ok(Response { status, headers: all, body: Bytes::new(), took: Duration::ZERO })
    }

    fn lost() -> Result<Response, Error> {
        let failure = TransportFailure::Timeout(LAST);
        Err(TransportError { request: "GET http://store".into(), failure }.into())
    }

    fn millis(from: u64, to: u64) -> std::ops::RangeInclusive<Duration> {
        Duration::from_millis(from)..=Duration::from_millis(to)
    }

    #[test]
    fn pauses_grow() {
        for (attempt, expected) in
            [(0, millis(50, 100)), (1, millis(100, 200)), (3, millis(400, 800)), (40, millis(2_500, 5_000))]
        {
            let pause = pause(attempt, &lost()).unwrap();
            assert!(expected.contains(&pause), "{attempt}: {pause:?}");
        }
    }

    #[test]
    fn an_answer_may_ask_for_a_pause() {
        for status in [429, 502, 503, 504] {
            let pause = pause(0, &answer(status, &[("retry-after", "2")])).unwrap();
            assert!(millis(2_050, 2_100).contains(&pause), "{pause:?}");
            let past = ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
            assert!(millis(50, 100).contains(&super::pause(0, &answer(status, &[past])).unwrap()));
            let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(20)).leak();
            let pause = super::pause(0, &answer(status, &[("retry-after", soon)])).unwrap();
            assert!(millis(18_000, 20_100).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn some_answers_are_final() {
        for (status, headers) in [
            (503, &[("x-should-retry", "false"), ("retry-after", "1")][..]),
            (503, &[("retry-after", "31")]),
            (503, &[("retry-after", "Mon, 21 Oct 2199 07:28:00 GMT")]),
            (200, &[]),
            (304, &[]),
            (409, &[]),
            (412, &[]),
            (500, &[]),
        ] {
            assert_eq!(pause(0, &answer(status, headers)), None, "{status} {headers:?}");
        }
        assert_eq!(pause(0, &Err(Error::Invalid("no id".into()))), None);
    }
}
