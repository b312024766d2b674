//! `docs/by-hand.md`, done as it stands there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use conversation_local::{Tools, workspace};
use conversation_tests::{built, free_port};
use serde_json::Value;

use crate::run::Run;

/// The commands of the page that begin so.
fn commands(beginning: &str) -> Vec<String> {
    let page = std::fs::read_to_string(workspace().join("docs/by-hand.md")).unwrap();
    let found: Vec<_> = page.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect();
    assert!(!found.is_empty(), "{beginning}");
    found
}

/// A command as a shell runs it at the root, where `cargo lambda` is found.
fn shell(command: &str, path: &Path) -> Command {
    let tools = Tools::ready().unwrap();
    let path = format!("{}:{}", path.display(), tools.cargo_lambda.parent().unwrap().display());
    let mut shell = Command::new("sh");
    // What cargo tells the programs that it runs, which would make one below build all again.
    let clear = "unset $(env | grep -oE '^CARGO_(PKG|MANIFEST|BIN|CRATE|PRIMARY)_[A-Z_]*')";
    let exported = format!("{clear}; PATH=\"{path}:$PATH\"; export PATH; exec {command}");
    shell.args(["-c", &exported]).current_dir(workspace());
    shell
}

fn done(mut shell: Command) -> Output {
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{shell:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn answer(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
}

/// Stops a program and whatever it runs when the test ends.
struct Watch(std::process::Child);

impl Drop for Watch {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_function_is_invoked_by_hand_with_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut run = Run::start(port, folder.path(), &[]);
    run.wait_for("Ready in");
    run.wait_for("Ctrl-C stops everything");
    let of_run: Vec<_> =
        commands("cargo lambda invoke").into_iter().filter(|line| !line.contains("--invoke-port")).collect();
    assert_eq!(of_run.len(), 10, "one for each function: {of_run:?}");
    for command in of_run {
        let answered = answer(&done(shell(
            &format!("{command} --invoke-address 127.0.0.1 --invoke-port {port}"),
            folder.path(),
        )));
        let unanswering = ["sweep", "migrate", "probe"].iter().any(|name| command.contains(name));
        let expected = if unanswering { Value::Null } else { 200.into() };
        assert_eq!(answered["statusCode"], expected, "{command}: {answered}");
    }

    let env = folder.path().join("env").display().to_string();
    let own = [commands("cargo lambda watch"), commands("cargo lambda invoke recent")].concat();
    let [watch, .., invoke] = &own[..] else { panic!("{own:?}") };
    // The last of the ports that a `make watch` of another test would take.
    let with_port = |command: &str| command.replace("6669", "10080").replace(".local/env", &env);
    let _watch = Watch(shell(&with_port(watch), folder.path()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let invoked = shell(&with_port(invoke), folder.path()).output().unwrap();
        if invoked.status.success() {
            assert_eq!(answer(&invoked)["statusCode"], 404, "deleted before");
            return;
        }
        assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&invoked.stderr));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn what_is_built_at_the_root_are_the_functions_alone() {
    let Some(installed) = built(workspace().join(".venv-infra/requirements.installed"), "make check-infra")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // Cargo as it is, but for building, which would take minutes.
    let (cargo, log_name) = (env!("CARGO"), log.display());
    let build =
        format!("case $1 in build) echo \"$@\" >> {log_name}; exit 9;; *) exec {cargo} \"$@\";; esac");
    let file = folder.path().join("cargo");
    std::fs::write(&file, format!("#!/bin/sh\n{build}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Zig is there.
    let path = format!("{}:{}", folder.path().display(), installed.with_file_name("bin").display());
    for command in commands("cargo lambda build") {
        // The `cargo` of that folder would be the one that finds its subcommands itself.
        let command = command.replacen("cargo lambda", "cargo-lambda lambda", 1);
        let said = shell(&command, Path::new(&path)).env_remove("CARGO").output().unwrap();
        let asked = std::fs::read_to_string(&log).unwrap_or_else(|_| panic!("{said:?}"));
        assert!(asked.contains("--package conversation-functions") && asked.contains("aarch64"), "{asked}");
    }
}
