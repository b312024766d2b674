//! The functions' programs: how large they are to deploy, and how many instructions a warm request takes.

use std::path::Path;
use std::process::Command;

use conversation_local::{Lambda, LambdaSettings};

use crate::cold::event;
use crate::load::to_f64;
use crate::measure::{Outcome, say};
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{Stage, batch, key, message};

const FUNCTIONS: [&str; 10] =
    ["add", "recent", "get", "list", "update", "delete", "records", "migrate", "sweep", "probe"];

/// How large each program is as it is uploaded.
pub(crate) fn sizes(stage: &Stage) -> Outcome<Found> {
    let zip = "import io,sys,zipfile\nout = io.BytesIO()\nwith zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as z:\n    \
        z.write(sys.argv[1], 'bootstrap')\nprint(len(out.getvalue()))";
    let mut found = Found::default();
    for name in FUNCTIONS {
        let output = Command::new("python3").args(["-c", zip]).arg(stage.binaries.join(name)).output()?;
        let bytes: f64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
        let size = bytes / 1e6;
        found.rows.push(Row::alone(format!("{name}, zipped"), "MB", Target::AtMost(3.0), &[size]));
    }
    Ok(found)
}

/// How many instructions a warm request takes, in thousands. They hardly depend on what else the machine does.
pub(crate) async fn instructions(stage: &Stage) -> Outcome<Found> {
    let mut found = Found::default();
    if Command::new("valgrind").arg("--version").output().is_err() {
        say("instructions are not counted: valgrind is not installed");
        return Ok(found);
    }
    stage.store()?.add(&key("counted")?, &batch(100)?).await?;
    let path = "/v1/conversations/counted/messages";
    for (function, event) in
        [("recent", event("GET", path, None)), ("add", event("POST", path, Some(&message())))]
    {
        let (few, many) = (20, 120);
        let event = event.to_string();
        let less = counted(stage, function, &event, few).await?;
        let more = counted(stage, function, &event, many).await?;
        let each = (more - less) / to_f64(many - few) / 1e3;
        let name = format!("{function}, warm, instructions of its program");
        found.rows.push(Row::alone(name, "thousand", Target::Informational, &[each]));
    }
    Ok(found)
}

/// All instructions of a program that answers so many events.
async fn counted(stage: &Stage, function: &str, event: &str, events: usize) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let (pid, out) = (folder.path().join("pid"), folder.path().join("out"));
    let program = stage.binaries.join(function);
    let script = format!(
        "#!/bin/sh\necho $$ > {}\nexec valgrind --tool=callgrind --callgrind-out-file={} {}\n",
        pid.display(),
        out.display(),
        program.display()
    );
    std::fs::write(folder.path().join(function), script)?;
    std::fs::set_permissions(
        folder.path().join(function),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )?;
    let mut environment = stage.environment();
    environment.push(("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()));
    let lambda = Lambda::start(LambdaSettings {
        binaries: folder.path().to_owned(),
        environment,
        log: Some(folder.path().join("log")),
        instances: 1,
        concurrency: 1,
    })
    .await?;
    for _ in 0..events {
        let answer = lambda.invoke(function, event.to_owned().into()).await;
        answer.map_err(|_| "a function failed under callgrind")?;
    }
    // It writes what it counted when it is asked to end.
    Command::new("kill").arg(std::fs::read_to_string(&pid)?.trim()).status()?;
    for _ in 0..500 {
        if let Some(total) = total(&out) {
            return Ok(total);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Err("callgrind wrote nothing".into())
}

fn total(out: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(out).ok()?;
    let line = text.lines().rev().find(|line| line.starts_with("totals:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
