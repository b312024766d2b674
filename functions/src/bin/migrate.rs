//! Applies the migrations that are missing: on Lambda when a deployment invokes it, before new code takes traffic;
//! elsewhere at once. Never for a request.

#![recursion_limit = "256"] // An optimising build sees all futures at once, one within the other.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{DatabaseConfig, directory, is_on_lambda};
use conversation_functions::{Unready, exit, on_event, start_logging};
use serde::Deserialize;

/// What a deployment says: who owns the schema, where that is not who uses it. The fields are those of the secret in
/// which Amazon RDS keeps its administrator; what else is in there does not matter. None of it is logged.
#[derive(Default, Deserialize)]
struct Deployment {
    username: Option<String>,
    password: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(if is_on_lambda() { serve().await } else { once().await })
}

async fn serve() -> Result<(), Unready> {
    let work =
        async |database: Arc<DatabaseConfig>, deployment: Deployment| migrate(&database, deployment).await;
    on_event("migrate", open, work, |()| None).await
}

async fn once() -> Result<(), Unready> {
    start_logging()?;
    migrate(&open()?, Deployment::default()).await
}

fn open() -> Result<DatabaseConfig, Unready> {
    Ok(DatabaseConfig::from_env()?)
}

/// As the administrator, if there is one, who then lets in the user of `DATABASE_URL`; as that user otherwise.
async fn migrate(database: &DatabaseConfig, deployment: Deployment) -> Result<(), Unready> {
    match (deployment.username, deployment.password) {
        (Some(name), Some(password)) => {
            let directory = directory(&database.as_user(&name, &password));
            directory.migrate().await?;
            directory.admit(database.user()).await?;
        }
        (None, None) => directory(database).migrate().await?,
        _ => return Err("an administrator has a username and a password".into()),
    }
    tracing::info!("the schema is up to date");
    Ok(())
}
