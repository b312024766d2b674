//! The API as callers see it.

use std::collections::HashMap;

use conversation_local::{Authorizer, Functions, Gateway, Lambda, LambdaSettings, Routes};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use serde_json::value::RawValue;
use tempfile::TempDir;

use crate::{OWNER, fail, functions_folder};

/// The functions behind their front.
#[derive(Debug)]
pub struct Api {
    gateway: Gateway,
    client: Client,
    /// The functions' processes, to be invoked with events of one's own.
    pub lambda: Lambda,
    logs: TempDir,
}

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body as it came.
    pub text: String,
    /// `Cache-Status`, if it was there.
    pub cache_status: Option<String>,
    /// `Retry-After`, if it was there.
    pub retry_after: Option<String>,
}

impl Api {
    pub(crate) fn new(gateway: Gateway, lambda: Lambda, logs: TempDir) -> Self {
        Self { gateway, client: Client::new(), lambda, logs }
    }

    /// A request of one's own making.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_else(|error| fail(&error));
        self.client.request(method, format!("{}{path}", self.gateway.url()))
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap_or_else(|error| fail(&error));
        let status = response.status().as_u16();
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            Some(value.to_str().unwrap_or_else(|error| fail(&error)).to_owned())
        };
        let (cache_status, retry_after) = (header("cache-status"), header("retry-after"));
        let text = response.text().await.unwrap_or_else(|error| fail(&error));
        Answer { status, text, cache_status, retry_after }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path)).await
    }

    /// Sends JSON.
    pub async fn post(&self, path: &str, body: impl Into<String>) -> Answer {
        let request = self.request("POST", path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(body.into())).await
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.gateway.url()
    }

    /// What the functions logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.logs.path().join("functions.log")).unwrap_or_default()
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| fail(&format!("{error}: {}", self.text)))
    }

    /// A string of the body, by JSON pointer; empty where there is none.
    pub fn at(&self, pointer: &str) -> String {
        self.json().pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A number of the body, by JSON pointer; -1 where there is none.
    pub fn number(&self, pointer: &str) -> i64 {
        self.json().pointer(pointer).and_then(Value::as_i64).unwrap_or(-1)
    }

    /// The positions of the messages in the body.
    pub fn seqs(&self) -> Vec<i64> {
        let body = self.json();
        let data = body["data"].as_array().unwrap_or_else(|| fail(&self.text));
        data.iter().filter_map(|message| message["seq"].as_i64()).collect()
    }

    /// The messages in the body, to the byte.
    pub fn messages(&self) -> Vec<String> {
        let body: Result<HashMap<String, Box<RawValue>>, _> = serde_json::from_str(&self.text);
        let data = body.ok().and_then(|mut body| body.remove("data")).unwrap_or_else(|| fail(&self.text));
        let messages: Result<Vec<Box<RawValue>>, _> = serde_json::from_str(data.get());
        let messages = messages.unwrap_or_else(|error| fail(&error));
        messages.iter().map(|message| message.get().to_owned()).collect()
    }

    /// Whether the cache answered.
    pub fn is_hit(&self) -> bool {
        self.cache_status.as_deref().is_some_and(|said| said.starts_with("redis; hit"))
    }
}

/// Serves the API on these stores.
pub(crate) async fn serve(
    database_url: &str,
    redis_url: &str,
    changes: &[(&str, &str)],
    (instances, concurrency): (usize, usize),
) -> Api {
    let mut environment: Vec<(String, String)> = [
        ("DATABASE_URL", database_url),
        ("REDIS_URL", redis_url),
        ("AUTH_MODE", "trusted_header"),
        ("DEFAULT_OWNER", OWNER),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    environment.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    environment.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let logs = tempfile::tempdir().unwrap_or_else(|error| fail(&error));
    let log = logs.path().join("functions.log");
    let authorizer = match changes.iter().find(|(name, _)| *name == "AUTH_MODE") {
        Some((_, "jwt")) => Authorizer::Jwt,
        _ => Authorizer::Open,
    };
    let (binaries, log) = (functions_folder(), Some(log));
    let settings = LambdaSettings { binaries, environment, log, instances, concurrency };
    let lambda = Lambda::start(settings).await.unwrap_or_else(|error| fail(&error));
    let routes = Routes::load().unwrap_or_else(|error| fail(&error));
    let gateway = Gateway::start(0, routes, Functions::Processes(lambda.clone()), authorizer).await;
    Api::new(gateway.unwrap_or_else(|error| fail(&error)), lambda, logs)
}
