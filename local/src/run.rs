//! `make run`: everything from nothing to a URL to try, and back to nothing at Ctrl-C.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conversation_core::{CacheConfig, ConfigError, ConversationStore, DatabaseConfig};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::lambda::Functions;
use crate::tools::{self, this_program};
use crate::watch::{Watch, invocations, watch};
use crate::{Authorizer, Gateway, Outcome, Postgres, Routes, Tools, Trouble, Valkey, console};

/// What `make run` may be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port of 127.0.0.1 that the API listens on.
    pub port: u16,
    /// Where data and logs are kept.
    pub folder: PathBuf,
    /// A Postgres of one's own instead of a private one.
    pub database_url: Option<String>,
    /// A Redis of one's own instead of a private one.
    pub redis_url: Option<String>,
}

/// The stores, private ones or somebody's own.
struct Stores {
    postgres: Option<Postgres>,
    valkey: Option<Valkey>,
    database_url: String,
    redis_url: String,
}

/// The owner that callers are who name none.
const OWNER: &str = "local";
/// How often the sweep runs.
const SWEEP: Duration = Duration::from_secs(60);
/// The private database.
const DATABASE: &str = "conversations";

/// Runs until Ctrl-C, or until something that it needs has stopped.
///
/// # Errors
/// Something could not be started, or has stopped: one line that says what to do.
pub async fn run(settings: Settings) -> Outcome<()> {
    let began = Instant::now();
    refuse_busy_port(settings.port)?;
    let folder = settings.folder.as_path();
    fs::create_dir_all(folder)
        .map_err(|error| Trouble::because(&format!("cannot use LOCAL_DIR={}", folder.display()), &error))?;
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let _lock = lock(&folder)?;

    let tools = step("Python wheels with PostgreSQL, Valkey and cargo-lambda", Tools::ready)?;
    step("The functions, built with cargo", build)?;
    let mut stores = step("PostgreSQL and Valkey", || Stores::start(&tools, &folder, &settings))?;
    step("The schema", || migrate(&stores.database_url))?;
    let (mut watch, functions, gateway) = serve(&tools, &folder, &settings, &stores).await?;
    write_environment(&folder, &gateway.url(), &functions, &stores)?;
    say(&format!("\nReady in {:.1} s. {}", began.elapsed().as_secs_f64(), welcome(&gateway.url(), &folder)));

    let sweeper = tokio::spawn(sweep(functions));
    let outcome = wait(&mut stores, &mut watch).await;
    say("\nStopping.");
    sweeper.abort();
    drop(watch);
    drop(gateway);
    outcome
}

fn refuse_busy_port(port: u16) -> Outcome<()> {
    TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|error| {
        Trouble::new(format!("port {port} cannot be used ({error}): choose another one, PORT=9001 make run"))
    })
}

/// Two runs must not share their data.
fn lock(folder: &Path) -> Outcome<fs::File> {
    let file = fs::File::create(folder.join("lock"));
    let file =
        file.map_err(|error| Trouble::because(&format!("cannot write {}", folder.display()), &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Trouble::new(format!(
            "{} is in use by another run: stop it, or choose another folder, LOCAL_DIR=.local2 make run",
            folder.display()
        ))),
    }
}

impl Stores {
    fn start(tools: &Tools, folder: &Path, settings: &Settings) -> Outcome<Self> {
        let postgres = match &settings.database_url {
            Some(_) => None,
            None => Some(Postgres::keep(tools, &folder.join("postgres"))?),
        };
        let valkey = match &settings.redis_url {
            Some(_) => None,
            None => Some(Valkey::keep(tools, &folder.join("valkey"))?),
        };
        let own = |url: &Option<String>| url.clone().unwrap_or_default();
        let database_url = match &postgres {
            Some(postgres) => {
                postgres.create_database(tools, DATABASE)?;
                postgres.url(DATABASE)
            }
            None => own(&settings.database_url),
        };
        let redis_url = valkey.as_ref().map_or_else(|| own(&settings.redis_url), Valkey::url);
        Ok(Self { postgres, valkey, database_url, redis_url })
    }

    /// Why one of them does not run any more.
    fn trouble(&mut self) -> Option<Trouble> {
        let postgres = self.postgres.as_mut().and_then(Postgres::trouble);
        postgres.or_else(|| self.valkey.as_mut().and_then(Valkey::trouble))
    }

    /// The store itself, in this process.
    fn open(&self) -> Outcome<ConversationStore> {
        let cannot = |error: ConfigError| Trouble::new(error.to_string());
        let database = DatabaseConfig::from_url(&self.database_url).map_err(cannot)?;
        let cache = CacheConfig::from_url(&self.redis_url, "").map_err(cannot)?;
        Ok(conversation_core::store(&database, &cache))
    }

    fn environment(&self) -> [(&'static str, &str); 6] {
        [
            ("DATABASE_URL", &self.database_url),
            ("REDIS_URL", &self.redis_url),
            ("AUTH_MODE", "trusted_header"),
            ("DEFAULT_OWNER", OWNER),
            ("LOG_FORMAT", "text"),
            ("METRICS", "off"),
        ]
    }
}

fn build() -> Outcome<()> {
    if tools::build() { Ok(()) } else { Err(Trouble::new("the functions do not build; cargo said why")) }
}

fn migrate(database_url: &str) -> Outcome<()> {
    // Cargo puts all programs of the workspace into one folder.
    let migrate = this_program()?.with_file_name("migrate");
    let output = std::process::Command::new(migrate)
        .env("DATABASE_URL", database_url)
        .env("LOG_LEVEL", "warn")
        .output();
    let output = output.map_err(|error| Trouble::because("cannot run the migrations", &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Trouble::new(format!("the schema cannot be brought up to date: {}", said.trim())))
}

/// Starts `cargo lambda watch`, and before it a front that behaves as API Gateway does.
async fn serve(
    tools: &Tools,
    folder: &Path,
    settings: &Settings,
    stores: &Stores,
) -> Outcome<(Watch, Functions, Gateway)> {
    // Its own log lines would drown those of the functions, which do not listen to this.
    let environment = [&stores.environment()[..], &[("RUST_LOG", "warn")]].concat();
    let (mut watch, url) = watch(&tools.cargo_lambda, &environment)?;
    let functions = Functions::Watch(url, reqwest::Client::new());
    let beside = console(stores.open()?).merge(invocations(functions.clone()));
    let gateway =
        Gateway::start_with(settings.port, Routes::load()?, functions.clone(), Authorizer::Open, beside)
            .await?;
    let url = format!("{}/v1/health?deep=1", gateway.url());
    let deadline = Instant::now() + Duration::from_secs(120);
    let bar = spinner("The functions, started with cargo lambda watch");
    loop {
        if let Some(trouble) = watch.trouble() {
            return Err(trouble);
        }
        let answer = reqwest::get(&url).await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            done(&bar, "The functions, started with cargo lambda watch");
            return Ok((watch, functions, gateway));
        }
        if Instant::now() > deadline {
            return Err(Trouble::new(format!(
                "the functions do not answer; see above, and {}",
                folder.display()
            )));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Does what the schedule does where this is deployed.
async fn sweep(functions: Functions) {
    loop {
        tokio::time::sleep(SWEEP).await;
        // What it could not do it does the next time, and it has said so in its log.
        let _ = functions.invoke("sweep", "{}".into()).await;
    }
}

/// What other tools need to know, in a file that shells and `--env-file` read: all that a function is told, and where the API
/// is and the functions are invoked.
fn write_environment(folder: &Path, api_url: &str, functions: &Functions, stores: &Stores) -> Outcome<()> {
    let mut text = format!("API_URL={api_url}\nINVOKE_URL={api_url}\n");
    // Writing to a String cannot fail.
    if let Functions::Watch(url, _) = functions {
        let _ = writeln!(text, "FUNCTIONS_URL={url}");
    }
    for (name, value) in stores.environment() {
        let _ = writeln!(text, "{name}={value}");
    }
    let file = folder.join("env");
    let written = fs::write(&file, text);
    // It holds passwords.
    written
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)))
        .map_err(|error| Trouble::because(&format!("cannot write {}", file.display()), &error))
}

fn welcome(url: &str, folder: &Path) -> String {
    let mut text = format!("The API is at {url}. Try it:\n\n");
    let messages = format!("{url}/v1/conversations/hello/messages");
    let json = "-H 'content-type: application/json'";
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  curl {messages} {json} -d '{{\"role\":\"user\",\"content\":\"Hello!\"}}'");
    let _ = writeln!(text, "  curl -i {messages}");
    let _ = writeln!(text, "  curl {url}/v1/conversations\n");
    let _ = writeln!(text, "Or look at it in a browser: {url}/console\n");
    let _ =
        write!(text, "Data, logs and the stores' URLs are in {}. Ctrl-C stops everything.", folder.display());
    text
}

/// Waits for Ctrl-C, or for something to stop that should not.
async fn wait(stores: &mut Stores, watch: &mut Watch) -> Outcome<()> {
    let listen = |kind| signal(kind).map_err(|error| Trouble::because("cannot wait for signals", &error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                if let Some(trouble) = watch.trouble().or_else(|| stores.trouble()) {
                    return Err(Trouble::new(format!("{trouble}; start again with make run")));
                }
            }
        }
    }
}

fn step<T>(what: &str, run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let bar = spinner(what);
    let outcome = run();
    match &outcome {
        Ok(_) => done(&bar, what),
        Err(_) => bar.finish_and_clear(),
    }
    outcome
}

fn spinner(what: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or(ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn done(bar: &ProgressBar, what: &str) {
    let seconds = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    say(&format!("✓ {what} ({seconds:.1} s)"));
}

#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
fn say(line: &str) {
    println!("{line}");
}
