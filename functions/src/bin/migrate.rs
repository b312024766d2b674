//! Applies the migrations that are missing: on Lambda when a deployment invokes it, before new code takes traffic;
//! elsewhere at once. Never for a request.

#![recursion_limit = "256"] // An optimising build sees all futures at once, one within the other.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use conversation_core::{DatabaseConfig, Migrated, Retention, Sharding, conversation_index, is_on_lambda};
use conversation_functions::{StartupError, exit, on_event, start_logging};
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
struct LambdaResponse {
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

async fn serve() -> Result<(), StartupError> {
    let work =
        async |database: Arc<DatabaseConfig>, deployment: Deployment| migrate(&database, deployment).await;
    on_event("migrate", open, work, |_| None, |answer| answer).await
}

async fn once() -> Result<(), StartupError> {
    start_logging()?;
    let database = open()?;
    while migrate(&database, Deployment::default()).await?.more {}
    Ok(())
}

/// The first host: of a cluster, the others may not change the schema.
fn open() -> Result<DatabaseConfig, StartupError> {
    Ok(DatabaseConfig::from_env()?.first_host())
}

/// As the administrator, if there is one, who then lets in the user of `DATABASE_URL`; as that user otherwise.
async fn migrate(database: &DatabaseConfig, deployment: Deployment) -> Result<LambdaResponse, StartupError> {
    let Deployment { username, password, settings, moves_to } = deployment;
    let owner = match (username, password) {
        (Some(name), Some(password)) => Some(database.as_user(&name, &password)),
        (None, None) => None,
        _ => return Err("an administrator has a username and a password".into()),
    };
    let config = owner.as_ref().unwrap_or(database);
    let index = conversation_index(config);
    if let Some(generation) = moves_to {
        index.move_cache_generation(&generation).await?;
        tracing::info!(generation, "the cache has moved");
        return Ok(LambdaResponse { more: false, generation: Some(generation) });
    }
    if conversation_core::migrate(config, Sharding::from_env()?, BUDGET).await? == Migrated::Some {
        return Ok(LambdaResponse { more: true, generation: None });
    }
    index.set_retention(Retention::from_env()?).await?;
    if owner.is_some() {
        index.grant_access(database.user()).await?;
    }
    tracing::info!("the schema is up to date");
    let generation = match settings {
        Some(settings) => Some(index.propose_cache_generation(&settings).await?),
        None => None,
    };
    Ok(LambdaResponse { more: false, generation })
}
