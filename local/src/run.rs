//! `make run` and `make watch`: everything from an empty checkout to a URL to try, until Ctrl-C.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, bail, ensure};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::authorizer::Authorizer;
use crate::cargo::{build, this_program};
use crate::console::console;
use crate::folders::function_names;
use crate::gateway::Gateway;
use crate::invocations::invocations;
use crate::lambda::{Functions, Lambda, LambdaSettings};
use crate::routes::Routes;
use crate::stores::Stores;
use crate::terminal::{say, step, step_async};
use crate::tools::Tools;
use crate::watch::Watch;

/// The settings of `make run` and `make watch`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The port of 127.0.0.1 to listen on.
    #[arg(long, env = "PORT", default_value_t = 9000)]
    port: u16,
    /// The folder for data and logs.
    #[arg(long, env = "LOCAL_DIR", default_value = ".local")]
    folder: PathBuf,
    /// A Postgres of your own instead of a private one.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A Redis of your own instead of a private one.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// Origins of pages that may send requests from a browser, separated by commas, like http://localhost:3000.
    #[arg(long, env = "CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
}

/// The host of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Processes behind our own Runtime API, started before the first request, and replaced when they die: `make run`.
    Processes,
    /// `cargo lambda watch`, which builds a function with its first request and again when its code is saved: `make watch`.
    CargoLambda,
}

/// Everything that serves, and stops when dropped. The gateway stops first.
struct Served {
    gateway: Gateway,
    functions: Functions,
    watch: Option<Watch>,
    stores: Stores,
}

/// The owner of requests that name none.
const OWNER: &str = "local";
/// How often the sweep runs.
const SWEEP: Duration = Duration::from_secs(60);
/// How many processes of a function run at a time.
const INSTANCES: usize = 4;
/// How long the first build of `cargo lambda watch` may take.
const FIRST_BUILD: Duration = Duration::from_secs(300);

/// Serves until Ctrl-C, or until a server that it needs has stopped.
///
/// # Errors
/// Something could not be started, or has stopped: one line that says what to do.
pub async fn run(settings: Settings, host: Host) -> Result<()> {
    let began = Instant::now();
    refuse_busy_port(settings.port)?;
    let folder = settings.folder.as_path();
    fs::create_dir_all(folder).with_context(|| format!("cannot use LOCAL_DIR={}", folder.display()))?;
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let _lock = lock(&folder)?;

    let mut served = start(settings, host, &folder).await?;
    write_environment(&folder, &served)?;
    let welcome = welcome(&served.gateway.url(), &folder, host);
    say(&format!("\nReady in {:.1} s. {welcome}", began.elapsed().as_secs_f64()));

    let sweeper = tokio::spawn(sweep(served.functions.clone()));
    let result = wait(&mut served).await;
    say("\nStopping.");
    sweeper.abort();
    if let Functions::Processes(lambda) = &served.functions {
        lambda.stop().await;
    }
    result
}

fn refuse_busy_port(port: u16) -> Result<()> {
    if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
        bail!("port {port} cannot be used ({error}): choose another one with PORT=9001");
    }
    Ok(())
}

/// Locks the folder, since two runs must not share their data.
fn lock(folder: &Path) -> Result<fs::File> {
    let file = fs::File::create(folder.join("lock"));
    let file = file.with_context(|| format!("cannot write {}", folder.display()))?;
    ensure!(
        file.try_lock().is_ok(),
        "{} is in use by another run: stop it, or choose another folder with LOCAL_DIR=.local2",
        folder.display()
    );
    Ok(file)
}

async fn start(settings: Settings, host: Host, folder: &Path) -> Result<Served> {
    let given = |url: Option<String>| url.filter(|url| !url.is_empty());
    let (database_url, redis_url) = (given(settings.database_url), given(settings.redis_url));
    let tools = step("Python wheels with PostgreSQL, Valkey and cargo-lambda", Tools::ready)?;
    step("The functions, built with cargo", build)?;
    let stores = step("PostgreSQL and Valkey", || Stores::start(&tools, folder, database_url, redis_url))?;
    step("The schema", || migrate(&stores.database_url))?;
    let (functions, mut watch) = match host {
        Host::Processes => (step_async("The functions' processes", start_processes(&stores)).await?, None),
        Host::CargoLambda => {
            let watch = start_watch(&tools, &stores)?;
            (Functions::Watch(watch.url(), reqwest::Client::new()), Some(watch))
        }
    };
    let beside = console(stores.open()?).merge(invocations(functions.clone()));
    let (port, routes) = (settings.port, Routes::load()?);
    let origins = &settings.cors_origins;
    let gateway =
        Gateway::start_with(port, routes, functions.clone(), Authorizer::Open, beside, origins).await?;
    if let Some(watch) = &mut watch {
        step_async("The functions, started with cargo lambda watch", ready(watch, &gateway.url())).await?;
    }
    Ok(Served { gateway, functions, watch, stores })
}

/// Returns the environment of the functions.
fn environment(stores: &Stores) -> [(&'static str, &str); 6] {
    [
        ("DATABASE_URL", &stores.database_url),
        ("REDIS_URL", &stores.redis_url),
        ("AUTH_MODE", "trusted_header"),
        ("DEFAULT_OWNER", OWNER),
        ("LOG_FORMAT", "text"),
        ("METRICS", "off"),
    ]
}

/// Finds the folder of the functions' programs: cargo puts all programs of the workspace into one.
fn binaries() -> Result<PathBuf> {
    let here = this_program()?;
    Ok(here.parent().unwrap_or(&here).to_owned())
}

fn migrate(database_url: &str) -> Result<()> {
    let mut migrate = Command::new(binaries()?.join("migrate"));
    let output = migrate.env("DATABASE_URL", database_url).env("LOG_LEVEL", "warn").output();
    let output = output.context("cannot run the migrations")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the schema cannot be brought up to date: {}", said.trim());
    Ok(())
}

async fn start_processes(stores: &Stores) -> Result<Functions> {
    let environment = environment(stores).map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = LambdaSettings {
        binaries: binaries()?,
        environment: environment.into(),
        log: None,
        instances: INSTANCES,
        concurrency: 1,
    };
    let lambda = Lambda::start(settings).await?;
    lambda.keep_running(&function_names()?).await?;
    Ok(Functions::Processes(lambda))
}

fn start_watch(tools: &Tools, stores: &Stores) -> Result<Watch> {
    // Its own log lines would drown those of the functions, which do not read this variable.
    let environment = [&environment(stores)[..], &[("RUST_LOG", "warn")]].concat();
    Watch::start(&tools.cargo_lambda, &environment)
}

/// Waits until `cargo lambda watch` answers requests.
async fn ready(watch: &mut Watch, url: &str) -> Result<()> {
    let deadline = Instant::now() + FIRST_BUILD;
    loop {
        if let Some(reason) = watch.exit_reason() {
            return Err(reason);
        }
        let answer = reqwest::get(format!("{url}/v1/health?deep=1")).await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the functions do not answer (see their output above)");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Does what the schedule does where this is deployed.
async fn sweep(functions: Functions) {
    loop {
        tokio::time::sleep(SWEEP).await;
        // A sweep that fails has logged why, and the next one does the work.
        let _ = functions.invoke("sweep", "{}".into()).await;
    }
}

/// Writes a file that shells and `--env-file` read: the functions' environment, and where the API is and functions are
/// invoked.
fn write_environment(folder: &Path, served: &Served) -> Result<()> {
    let api_url = served.gateway.url();
    let mut text = format!("API_URL={api_url}\nINVOKE_URL={api_url}\n");
    // Writing to a String cannot fail.
    if let Some(watch) = &served.watch {
        let _ = writeln!(text, "FUNCTIONS_URL={}", watch.url());
    }
    for (name, value) in environment(&served.stores) {
        let _ = writeln!(text, "{name}={value}");
    }
    let file = folder.join("env");
    // It holds passwords.
    let written =
        fs::write(&file, text).and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)));
    written.with_context(|| format!("cannot write {}", file.display()))
}

fn welcome(url: &str, folder: &Path, host: Host) -> String {
    let mut text = format!("The API is at {url}. Try it:\n\n");
    let messages = format!("{url}/v1/conversations/hello/messages");
    let json = "-H 'content-type: application/json'";
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  curl {messages} {json} -d '{{\"role\":\"user\",\"content\":\"Hello!\"}}'");
    let _ = writeln!(text, "  curl -i {messages}");
    let _ = writeln!(text, "  curl {url}/v1/conversations\n");
    let _ = writeln!(text, "Or look at it in a browser: {url}/console\n");
    if host == Host::CargoLambda {
        let port = url.rsplit(':').next().unwrap_or_default();
        let _ =
            writeln!(text, "A function is rebuilt when its code is saved. Invoke one with a sample event:\n");
        let _ = writeln!(
            text,
            "  PATH=\"$PWD/.venv/bin:$PATH\" cargo lambda invoke add --invoke-address 127.0.0.1 --invoke-port {port} \
             --data-file examples/events/add.json\n"
        );
    }
    let _ =
        write!(text, "Data, logs and the stores' URLs are in {}. Ctrl-C stops everything.", folder.display());
    text
}

/// Waits for Ctrl-C, or until a server has stopped that is needed.
async fn wait(served: &mut Served) -> Result<()> {
    let listen = |kind| signal(kind).context("cannot wait for signals");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                if let Some(reason) = served.exit_reason() {
                    bail!("{reason}; the rest is stopped too, start it again");
                }
            }
        }
    }
}

impl Served {
    fn exit_reason(&mut self) -> Option<Error> {
        let watch = self.watch.as_mut().and_then(Watch::exit_reason);
        watch.or_else(|| self.stores.exit_reason())
    }
}
