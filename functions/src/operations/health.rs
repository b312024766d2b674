//! How the stores are, for whoever asks: without a token, and so as often as anybody likes.

use std::time::{Duration, Instant};

use conversation_core::{ConversationStore, Error};
use tokio::sync::Mutex;
use tokio::time::timeout;

use serde_json::json;

use crate::http::{ApiRequest, ApiResponse, Failure, VERSION};

/// How long what was seen is answered.
const KEPT: Duration = Duration::from_secs(5);
/// How long a look may take. A store that hangs would otherwise hold as many instances as somebody asks for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was last seen of the stores. While one looks, all who ask wait for what he sees.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<(Instant, Seen)>>);

/// What is wrong with each of them.
#[derive(Clone, Debug)]
struct Seen {
    postgres: Option<String>,
    redis: Option<String>,
}

impl Health {
    /// Whether both stores answer, or did a moment ago.
    async fn of(&self, store: &ConversationStore) -> Result<ApiResponse, Failure> {
        let mut last = self.0.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < KEPT).map(|(_, seen)| seen.clone());
        let seen = match fresh {
            Some(seen) => seen,
            None => {
                let seen = look(store).await;
                last.insert((Instant::now(), seen)).1.clone()
            }
        };
        drop(last);
        if let Some(why) = seen.postgres {
            return Err(Failure::about(None)(Error::DatabaseUnavailable(why)));
        }
        let (status, redis) = if seen.redis.is_none() { ("ok", "ok") } else { ("degraded", "unreachable") };
        Ok(ApiResponse::json(
            &json!({ "status": status, "version": VERSION, "postgres": "ok", "redis": redis }),
        ))
    }
}

/// Whether the function runs, and with `deep=1` whether both stores answer.
pub(super) async fn answer(
    (store, health): &(ConversationStore, Health),
    request: &ApiRequest,
) -> Result<ApiResponse, Failure> {
    if request.query("deep")?.is_some_and(|deep| deep == "1") {
        return health.of(store).await;
    }
    Ok(ApiResponse::json(&json!({ "status": "ok", "version": VERSION })))
}

async fn look(store: &ConversationStore) -> Seen {
    let Ok((postgres, redis)) = timeout(PATIENCE, store.health()).await else {
        let late = Some("no answer within a second".to_owned());
        return Seen { postgres: late, redis: None };
    };
    let redis = redis.inspect_err(|error| tracing::warn!(%error, "redis is not well"));
    Seen { postgres: said(postgres), redis: said(redis) }
}

fn said(outcome: Result<(), Error>) -> Option<String> {
    outcome.err().map(|error| match error {
        Error::DatabaseUnavailable(why) => why,
        other => other.to_string(),
    })
}
