//! `check`: tests a deployed stack over HTTP, and the stores behind it with the commands that its functions use.

use std::time::Duration;

use anyhow::Result;
use clap::{ArgGroup, Args};
use conversation_client::{Auth, Client, Method, Request};
use conversation_core::{CacheConfig, DatabaseConfig, store};
use serde_json::{Value, json};

use crate::terminal::say;

/// How many cached reads are tried.
const READS: usize = 5;

/// Tests a deployed API, its stores, or both.
///
/// The API: writes a conversation, reads it from both stores, changes it and deletes it. Prints each step, how long it took
/// and, from Cache-Status, which store answered. The conversation has a new id, check-..., and is deleted even if a step
/// fails.
///
/// The stores, with --stores: runs the checks that a deployment runs before its functions take traffic, from this machine.
/// Runs every script, lookup and statement, and checks the rights, limits and connections that are needed on both servers.
///
/// Prints the guarantee that readers have with this cache. Exits with 1 if a check failed.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").args(["url", "stores"]).required(true).multiple(true)))]
pub struct Check {
    /// The API's URL, like `https://abc.execute-api.eu-central-1.amazonaws.com`.
    url: Option<String>,
    /// Tests the stores themselves. Needs DATABASE_URL and REDIS_URL, and network access to both.
    #[arg(long)]
    stores: bool,
    /// How many connections to Postgres all functions together may open.
    #[arg(long, env = "CONNECTIONS_NEEDED", requires = "stores")]
    connections_needed: Option<u32>,
    /// A token for the authorizer, sent as `Authorization: Bearer`.
    #[arg(long, env = "API_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The owner, sent as `x-owner-id`, where callers are trusted to name one.
    #[arg(long)]
    owner: Option<String>,
}

/// An answer, and how long it took.
struct Answer {
    status: u16,
    cache: String,
    took: Duration,
    body: Value,
}

struct Probe {
    client: Client,
    path: String,
    failures: u32,
    /// The guarantee that readers have with this cache, known after a hit.
    guarantee: Option<&'static str>,
}

/// Returns the guarantee that the Cache-Status of a hit implies.
fn guarantee(cache_status: &str) -> Option<&'static str> {
    match cache_status {
        "redis; hit" => {
            Some("a read sees every write that was acknowledged before it began, failovers included")
        }
        // It names the bound.
        _ if cache_status.starts_with("redis; hit; detail=failover-") => Some(
            "a read sees every write that was acknowledged before it began, except shortly after a failover of the \
             cache, which this one hides: for how long, Cache-Status says",
        ),
        _ => None,
    }
}

/// Runs the checks. Returns whether all of them passed.
///
/// # Errors
/// The API cannot be reached, or the settings of the stores are wrong.
pub async fn check(what: &Check) -> Result<bool> {
    let stores = if what.stores { check_stores(what.connections_needed).await? } else { true };
    let api = match &what.url {
        Some(url) => check_api(what, url).await?,
        None => true,
    };
    Ok(stores && api)
}

async fn check_stores(connections_needed: Option<u32>) -> Result<bool> {
    let store = store(&DatabaseConfig::from_env()?, &CacheConfig::from_env()?);
    Ok(match store.probe(connections_needed).await {
        Ok(probed) => {
            for check in probed.checks {
                say(&format!("✓ {}: {}", check.name, check.detail));
            }
            say(&format!("\n{}", probed.guarantee));
            true
        }
        Err(error) => {
            say(&format!("✗ {error}"));
            false
        }
    })
}

async fn check_api(what: &Check, url: &str) -> Result<bool> {
    let path = format!("/v1/conversations/check-{}", uuid::Uuid::now_v7().simple());
    let mut probe = Probe { client: client(what, url)?, path, failures: 0, guarantee: None };
    let tried = probe.run().await;
    // The conversation is deleted whatever went wrong.
    let deleted = probe.ask(Method::DELETE, "", None).await;
    match (tried, deleted) {
        (Ok(()), Ok(deleted)) => {
            probe.step("delete", &deleted, deleted.body["deleted"] == true);
            let gone = probe.ask(Method::GET, "/messages", None).await?;
            probe.step("read what was deleted", &gone, gone.status == 404);
        }
        (Err(error), _) | (Ok(()), Err(error)) => return Err(error),
    }
    if let Some(guarantee) = &probe.guarantee {
        say(&format!("\n{guarantee}"));
    }
    match probe.failures {
        0 => say("\nall checks passed"),
        1 => say("\n1 check failed"),
        failures => say(&format!("\n{failures} checks failed")),
    }
    Ok(probe.failures == 0)
}

/// Makes a client of the API for this caller.
fn client(what: &Check, url: &str) -> Result<Client> {
    let mut client = Client::builder(url);
    if let Some(token) = &what.token {
        client = client.auth(Auth::token(token));
    }
    if let Some(owner) = &what.owner {
        client = client.owner(owner);
    }
    Ok(client.build()?)
}

impl Probe {
    async fn run(&mut self) -> Result<()> {
        let health = self.send(Method::GET, "/v1/health?deep=1", None).await?;
        self.step("health of both stores", &health, health.status == 200);

        let messages: Vec<Value> =
            (1..=3).map(|n| json!({ "id": format!("m{n}"), "role": "user", "content": "?" })).collect();
        let batch = json!({ "messages": messages });
        let added = self.ask(Method::POST, "/messages", Some(&batch)).await?;
        self.step("write 3 messages", &added, seqs(&added) == [1, 2, 3]);
        let again = self.ask(Method::POST, "/messages", Some(&batch)).await?;
        self.step("write them again", &again, seqs(&again) == [1, 2, 3]);

        for _ in 0..READS {
            let read = self.ask(Method::GET, "/messages", None).await?;
            self.guarantee = guarantee(&read.cache).or(self.guarantee);
            self.step("read, cached", &read, seqs(&read) == [1, 2, 3] && guarantee(&read.cache).is_some());
        }
        let history = self.ask(Method::GET, "/messages?after=0", None).await?;
        self.step("read from Postgres", &history, seqs(&history) == [1, 2, 3]);

        let titled = self.ask(Method::POST, "", Some(&json!({ "title": "checked" }))).await?;
        self.step("change the title", &titled, titled.body["title"] == "checked");
        let version = titled.body["version"].as_i64().unwrap_or_default();
        let read = self.ask(Method::GET, &format!("?min_version={version}"), None).await?;
        self.step("read the change", &read, read.body["title"] == "checked");
        let list = self.send(Method::GET, "/v1/conversations?limit=1", None).await?;
        self.step(
            "list, from Postgres",
            &list,
            list.body["data"].as_array().is_some_and(|data| data.len() == 1),
        );
        Ok(())
    }

    /// Sends a request to a path below the conversation's.
    async fn ask(&self, method: Method, below: &str, body: Option<&Value>) -> Result<Answer> {
        let path = format!("{}{below}", self.path);
        self.send(method, &path, body).await
    }

    /// Sends a request once: a check shows what is answered, and how fast.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let request = Request::new(method, path);
        let request = match body {
            Some(body) => request.json(body)?,
            None => request,
        };
        let response = self.client.send(&request).await?;
        let cache = response.header("cache-status").unwrap_or_default().to_owned();
        let (status, took, body) = (response.status, response.took, response.json().unwrap_or_default());
        Ok(Answer { status, cache, took, body })
    }

    fn step(&mut self, what: &str, answer: &Answer, is_right: bool) {
        let mark = if is_right { "✓" } else { "✗" };
        let ms = answer.took.as_secs_f64() * 1e3;
        let line = format!("{mark} {what:<22} {} {ms:>8.1} ms  {}", answer.status, answer.cache);
        say(line.trim_end());
        if !is_right {
            self.failures += 1;
            say(&format!("  {}", answer.body));
        }
    }
}

fn seqs(answer: &Answer) -> Vec<i64> {
    let data = answer.body["data"].as_array().into_iter().flatten();
    data.filter_map(|message| message["seq"].as_i64()).collect()
}
