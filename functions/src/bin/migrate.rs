//! Applies the migrations that are missing: on Lambda when a deployment invokes it, before new code takes traffic;
//! elsewhere at once. Never for a request.

#![recursion_limit = "256"] // An optimising build sees all futures at once, one within the other.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use conversation_core::{DatabaseConfig, Migrated, directory, is_on_lambda};
use conversation_functions::{Unready, exit, on_event, start_logging};
use serde::{Deserialize, Serialize};

/// How long one invocation goes on to begin migrations: CloudFormation's function asks again while there are more.
const BUDGET: Duration = Duration::from_secs(120);

/// What a deployment says. Name and password are who owns the schema, where that is not who uses it: the fields are those of
/// the secret in which Amazon RDS keeps its administrator; what else is in there does not matter. None of it is logged.
#[derive(Default, Deserialize)]
struct Deployment {
    username: Option<String>,
    password: Option<String>,
    /// All that tells the cache of this deployment from others.
    settings: Option<String>,
    /// The generation of the cache to use from now on; nothing is migrated.
    #[serde(rename = "move")]
    moves_to: Option<String>,
}

/// What it is answered.
#[derive(Serialize)]
struct Answer {
    /// Whether migrations are left: ask again.
    more: bool,
    /// The generation of its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(if is_on_lambda() { serve().await } else { once().await })
}

async fn serve() -> Result<(), Unready> {
    let work =
        async |database: Arc<DatabaseConfig>, deployment: Deployment| migrate(&database, deployment).await;
    on_event("migrate", open, work, |_| None, |answer| answer).await
}

async fn once() -> Result<(), Unready> {
    start_logging()?;
    let database = open()?;
    while migrate(&database, Deployment::default()).await?.more {}
    Ok(())
}

fn open() -> Result<DatabaseConfig, Unready> {
    Ok(DatabaseConfig::from_env()?)
}

/// As the administrator, if there is one, who then lets in the user of `DATABASE_URL`; as that user otherwise.
async fn migrate(database: &DatabaseConfig, deployment: Deployment) -> Result<Answer, Unready> {
    let Deployment { username, password, settings, moves_to } = deployment;
    let owner = match (username, password) {
        (Some(name), Some(password)) => Some(database.as_user(&name, &password)),
        (None, None) => None,
        _ => return Err("an administrator has a username and a password".into()),
    };
    let config = owner.as_ref().unwrap_or(database);
    let directory = directory(config);
    if let Some(generation) = moves_to {
        directory.move_cache_generation(&generation).await?;
        tracing::info!(generation, "the cache has moved");
        return Ok(Answer { more: false, generation: Some(generation) });
    }
    if conversation_core::migrate(config, BUDGET).await? == Migrated::Some {
        return Ok(Answer { more: true, generation: None });
    }
    if owner.is_some() {
        directory.admit(database.user()).await?;
    }
    tracing::info!("the schema is up to date");
    let generation = match settings {
        Some(settings) => Some(directory.propose_cache_generation(&settings).await?),
        None => None,
    };
    Ok(Answer { more: false, generation })
}
