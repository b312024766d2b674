//! The functions' own programs behind a front like API Gateway's and Lambda's, and other programs in their place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conversation_local::{Authorizer, Functions, Gateway, Lambda, LambdaSettings, Routes};
use reqwest::Client;

use crate::load::{Sample, closed};
use crate::measure::Outcome;
use crate::stage::Stage;
use crate::stage::message;

/// The conversation that is read and added to.
const CONVERSATION: &str = "through";
/// Instances of one function.
const INSTANCES: usize = 8;

/// Programs behind a front.
pub(crate) struct Front {
    gateway: Gateway,
    client: Client,
    _folder: tempfile::TempDir,
}

/// What callers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Recent,
    Add,
}

impl Front {
    /// The functions themselves.
    pub(crate) async fn ours(stage: &Stage) -> Outcome<Self> {
        Self::with_settings(stage, &[]).await
    }

    /// The functions themselves, with more settings.
    pub(crate) async fn with_settings(stage: &Stage, more: &[(&str, &str)]) -> Outcome<Self> {
        Self::start(stage, more, |name| stage.binaries.join(name)).await
    }

    /// Another program in every function's place.
    pub(crate) async fn with(stage: &Stage, program: &Path) -> Outcome<Self> {
        Self::start(stage, &[], |_| program.to_owned()).await
    }

    async fn start(stage: &Stage, more: &[(&str, &str)], program: impl Fn(&str) -> PathBuf) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["recent", "add", "get", "list", "records"] {
            std::os::unix::fs::symlink(program(name), folder.path().join(name))?;
        }
        let settings = LambdaSettings {
            binaries: folder.path().to_owned(),
            environment: [stage.environment(), owned(more)].concat(),
            log: Some(folder.path().join("log")),
            instances: INSTANCES,
            concurrency: 1,
        };
        let functions = Functions::Processes(Lambda::start(settings).await?);
        let gateway = Gateway::start(0, Routes::load()?, functions, Authorizer::Open).await?;
        Ok(Self { gateway, client: Client::new(), _folder: folder })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        self.gateway.url()
    }

    /// Fills the conversation that is read.
    pub(crate) async fn fill(&self) -> Outcome<()> {
        let caller = self.caller(Call::Add);
        for _ in 0..100 {
            caller.call().await?;
        }
        Ok(())
    }

    fn caller(&self, call: Call) -> Caller {
        let url = format!("{}/v1/conversations/{CONVERSATION}/messages", self.gateway.url());
        Caller { url, client: self.client.clone(), call }
    }

    /// Lets callers call for a while.
    pub(crate) async fn measure(&self, call: Call, callers: usize, seconds: f64) -> Outcome<Sample> {
        let callers = (0..callers).map(|_| self.caller(call)).collect();
        closed(callers, seconds, |caller: Arc<Caller>| async move { caller.call().await }).await
    }
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

struct Caller {
    url: String,
    client: Client,
    call: Call,
}

impl Caller {
    async fn call(&self) -> Outcome<()> {
        let request = match self.call {
            Call::Recent => self.client.get(&self.url),
            Call::Add => {
                self.client.post(&self.url).header("content-type", "application/json").body(message())
            }
        };
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
    }
}
