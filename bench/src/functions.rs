//! A hit and an add through the functions' own programs, against a function that does nothing, and against the same
//! service written plainly in Python.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use conversation_core::{ConversationStore, Limit};
use conversation_local::{Wheels, workspace};
use serde::Deserialize;

use crate::front::{Call, Front};
use crate::hit::distribution;
use crate::load::{Sample, closed};
use crate::measure::{Outcome, in_turn};
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{Stage, batch, key};

const BOTH: [(Call, &str); 2] = [(Call::Recent, "recent, a hit"), (Call::Add, "add")];

/// Against a function that does nothing.
pub(crate) async fn against_nothing(stage: &Stage) -> Outcome<Found> {
    let (ours, noop) = (Front::ours(stage).await?, Front::with(stage, &stage.binaries.join("noop")).await?);
    ours.fill().await?;
    let mut found = Found::default();
    for (call, name) in BOTH {
        let pairs = compare(stage, (&ours, &noop), call, 1).await?;
        let halves: Vec<_> = pairs.iter().map(|(a, b)| (a.p50() / 1e3, b.p50() / 1e3)).collect();
        let name = format!("{name}, through its function, against one that does nothing, 1 caller");
        found.rows.push(Row::pairs(format!("{name}: p50"), "ms", Target::AtMostMore(1.0), &halves));
        if let Some((a, b)) = pairs.last() {
            found.plots.push(distribution(&name, ("ours", a), ("no-op", b)));
        }
    }
    Ok(found)
}

/// What it costs to tell of every request: metrics and spans, against neither.
pub(crate) async fn telemetry(stage: &Stage) -> Outcome<Found> {
    // Takes spans and leaves them unread, as a daemon does that has enough of them.
    let daemon = std::net::UdpSocket::bind(("127.0.0.1", 0))?;
    let address = daemon.local_addr()?.to_string();
    let on = [("METRICS", "emf"), ("TRACES", "xray"), ("AWS_XRAY_DAEMON_ADDRESS", &address)];
    let verbose = Front::with_settings(stage, &on).await?;
    let silent = Front::with_settings(stage, &[("METRICS", "off"), ("TRACES", "off")]).await?;
    verbose.fill().await?;
    let pairs = compare(stage, (&verbose, &silent), Call::Recent, 1).await?;
    let halves: Vec<_> = pairs.iter().map(|(a, b)| (a.p50() * 1e-3, b.p50() * 1e-3)).collect();
    let name = "recent, a hit, through its function, with metrics and spans, against neither, 1 caller: p50";
    Ok(Found { rows: vec![Row::pairs(name, "ms", Target::AtMost(1.05), &halves)], ..Found::default() })
}

/// Against plain Python.
pub(crate) async fn against_python(stage: &Stage) -> Outcome<Found> {
    let python = Wheels::TESTS.python()?;
    let folder = tempfile::tempdir()?;
    let handler = folder.path().join("handler");
    let script = workspace().join("bench/python/handler.py");
    // It has no other environment than a function's.
    std::fs::write(&handler, format!("#!/bin/sh\nexec {} {}\n", python.display(), script.display()))?;
    std::fs::set_permissions(&handler, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let (ours, theirs) = (Front::ours(stage).await?, Front::with(stage, &handler).await?);
    ours.fill().await?;
    theirs.fill().await?;
    let mut found = Found::default();
    for (call, name) in BOTH {
        let target = Target::AtLeast(if call == Call::Recent { 10.0 } else { 3.0 });
        let rates = in_turn(
            stage.settings.rounds,
            async || Ok(by_itself(stage, call).await?.per_second),
            async || Ok(python_by_itself(stage, &python, call)?.per_second),
        )
        .await?;
        let name = format!("{name}, against plain Python");
        found.rows.push(Row::pairs(
            format!("{name}, by itself, 1 caller: throughput"),
            "1/s",
            target,
            &rates,
        ));
        let pairs = compare(stage, (&ours, &theirs), call, 8).await?;
        let rates: Vec<_> = pairs.iter().map(|(a, b)| (a.per_second, b.per_second)).collect();
        let through = format!("{name}, through the same front, 8 callers");
        found.rows.push(Row::pairs(format!("{through}: throughput"), "1/s", target, &rates));
        if let Some((a, b)) = pairs.last() {
            found.plots.push(distribution(&through, ("ours", a), ("Python", b)));
        }
    }
    Ok(found)
}

async fn compare(
    stage: &Stage,
    (ours, theirs): (&Front, &Front),
    call: Call,
    callers: usize,
) -> Outcome<Vec<(Sample, Sample)>> {
    let seconds = stage.settings.seconds;
    in_turn(
        stage.settings.rounds,
        async || ours.measure(call, callers, seconds).await,
        async || theirs.measure(call, callers, seconds).await,
    )
    .await
}

/// The store without a function around it.
pub(crate) async fn by_itself(stage: &Stage, call: Call) -> Outcome<Sample> {
    // It opens its connections where it is used.
    stage.store()?.add(&key("itself")?, &batch(100)?).await?;
    let store = stage.store()?;
    let work = move |store: Arc<ConversationStore>| async move {
        match call {
            Call::Recent => store.recent(&key("itself")?, Limit::MAX, None).await.map(drop)?,
            Call::Add => store.add(&key("itself")?, &batch(1)?).await.map(drop)?,
        }
        Ok(())
    };
    // On one thread, as a function has it.
    let seconds = stage.settings.seconds;
    let measure = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(closed(vec![store], seconds, work))
    };
    tokio::task::spawn_blocking(measure).await?
}

/// What a Python script says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    pub(crate) per_second: f64,
}

fn python_by_itself(stage: &Stage, python: &Path, call: Call) -> Outcome<Said> {
    let what = if call == Call::Recent { "recent" } else { "add" };
    let output = Command::new(python)
        .arg(workspace().join("bench/python/itself.py"))
        .args([what, &stage.settings.seconds.to_string()])
        .envs(stage.environment())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
