//! How long a function takes from the moment its program is run, against one that does nothing.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use conversation_local::{Certificates, Lambda, LambdaSettings, Tools, Valkey};
use serde_json::{Value, json};

use crate::measure::{Outcome, in_turn, say};
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{Stage, batch, environment, key, message, store_at};

/// Starts in each round, of which the middle one counts.
const STARTS: usize = 5;

/// From the run of a program until it asked for its first event, and until it had answered that one; in milliseconds.
struct Took {
    polled: f64,
    answered: f64,
}

pub(crate) async fn measure(stage: &Stage) -> Outcome<Found> {
    let mut found = Found::default();
    for program in ["redis-server", "openssl"] {
        if Command::new(program).arg("--version").output().is_err() {
            say(&format!("cold starts are not measured: {program} is not installed"));
            return Ok(found);
        }
    }
    let secure = Secure::start(stage).await?;
    for (function, event) in [
        ("recent", event("GET", "/v1/conversations/cold/messages", None)),
        ("get", event("GET", "/v1/conversations/cold", None)),
        ("add", event("POST", "/v1/conversations/cold/messages", Some(&message()))),
        ("list", event("GET", "/v1/conversations", None)),
    ] {
        let took = in_turn(
            stage.settings.rounds,
            async || secure.starts(&stage.binaries, function, function, &event).await,
            async || secure.starts(&stage.binaries, function, "noop", &event).await,
        )
        .await?;
        let polled: Vec<_> = took.iter().map(|(a, b)| (a.polled, b.polled)).collect();
        let answered: Vec<_> = took.iter().map(|(a, b)| (a.answered, b.answered)).collect();
        let name = format!("cold start of {function}, against one that does nothing");
        found.rows.push(Row::pairs(format!("{name}: run to first poll"), "ms", Target::AtMost(1.5), &polled));
        let name =
            format!("{name}: run to first answer{}", if function == "list" { "" } else { ", TLS to Redis" });
        found.rows.push(Row::pairs(name, "ms", Target::AtMostMore(10.0), &answered));
    }
    Ok(found)
}

/// A Redis with TLS, which Debian's package has, and a conversation in it.
struct Secure {
    _redis: Valkey,
    environment: Vec<(String, String)>,
    _certificates: Certificates,
}

impl Secure {
    async fn start(stage: &Stage) -> Outcome<Self> {
        let certificates = Certificates::make()?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let configuration = certificates.configuration(port);
        let configuration: Vec<&str> = configuration.iter().map(String::as_str).collect();
        let tools = Tools { valkey: "redis-server".into(), ..stage.tools.clone() };
        let redis = Valkey::throwaway(&tools, &configuration)?;
        let plain = redis.url();
        store_at(&stage.database_url, &plain, "")?.add(&key("cold")?, &batch(100)?).await?;
        let secure = plain.replacen("redis://", "rediss://", 1).replacen(
            &format!(":{}/", redis.port()),
            &format!(":{port}/"),
            1,
        );
        let mut environment = environment(&stage.database_url, &secure);
        environment.push(("REDIS_CA_FILE".to_owned(), certificates.authority()));
        Ok(Self { _redis: redis, environment, _certificates: certificates })
    }

    /// Runs a program in a function's place, a few times.
    async fn starts(&self, binaries: &Path, function: &str, program: &str, event: &Value) -> Outcome<Took> {
        let (mut polled, mut answered) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let folder = tempfile::tempdir()?;
            std::os::unix::fs::symlink(binaries.join(program), folder.path().join(function))?;
            let lambda = Lambda::start(LambdaSettings {
                binaries: folder.path().to_owned(),
                environment: self.environment.clone(),
                log: Some(folder.path().join("log")),
                instances: 1,
                concurrency: 1,
            })
            .await?;
            let answer = lambda.invoke(function, event.to_string().into()).await;
            let answer: Value = serde_json::from_slice(&answer.map_err(|_| "a cold start failed")?)?;
            if answer["statusCode"] != 200 {
                return Err(format!("a cold start answered {answer}").into());
            }
            let starts = lambda.starts(function);
            let start = starts.first().ok_or("no start")?;
            let ms = |took: Option<Duration>| took.unwrap_or_default().as_secs_f64() * 1e3;
            polled.push(ms(start.polled));
            answered.push(ms(start.answered));
        }
        Ok(Took { polled: crate::row::median(polled), answered: crate::row::median(answered) })
    }
}

/// An event as API Gateway makes it.
pub(crate) fn event(method: &str, path: &str, body: Option<&str>) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": { "content-type": "application/json" },
        "requestContext": {
            "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "p", "requestId": "r",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1" },
            "routeKey": "$default", "stage": "$default", "time": "", "timeEpoch": 0,
        },
        "body": body, "isBase64Encoded": false,
    })
}
