//! `cargo lambda watch`, where no page can reach it, and a way to its functions by hand.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as InPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::guard::{Guarded, command_line};
use crate::lambda::{EVENT_BYTES, Functions, InvokeError};
use crate::{Outcome, Trouble};

/// Ports that no browser opens, whatever page asks it to: some of the "bad ports" of the Fetch standard. Whoever reaches
/// `cargo lambda watch` may invoke any function with any event, and it asks nobody where he comes from.
const CLOSED_TO_BROWSERS: [u16; 18] = [
    6_666, 6_667, 6_668, 6_669, 6_665, 6_697, 6_000, 6_566, 5_060, 5_061, 4_045, 4_190, 3_659, 2_049, 1_719,
    1_720, 1_723, 10_080,
];

/// A running `cargo lambda watch`.
#[derive(Debug)]
pub(crate) struct Watch {
    process: Guarded,
    _claim: File,
}

impl Watch {
    /// Why it does not run any more; none while it does.
    pub(crate) fn trouble(&mut self) -> Option<Trouble> {
        self.process.trouble()
    }
}

/// Starts `cargo lambda watch`, and tells where.
///
/// # Errors
/// None of its ports is free, or it cannot be started.
pub(crate) fn watch(cargo_lambda: &Path, environment: &[(&str, &str)]) -> Outcome<(Watch, String)> {
    let port = CLOSED_TO_BROWSERS.into_iter().find_map(|port| Some((port, claim(port)?)));
    let (port, claim) = port.ok_or_else(|| {
        Trouble::new(format!(
            "none of the ports {CLOSED_TO_BROWSERS:?} of 127.0.0.1 is free, of which one is needed"
        ))
    })?;
    let mut command = command_line([cargo_lambda]);
    command.extend(command_line(["lambda", "watch", "--quiet", "--disable-cors", "--concurrency", "4"]));
    command.extend(command_line(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]));
    let watch = Guarded::in_terminal("cargo lambda watch", &command, environment)?;
    Ok((Watch { process: watch, _claim: claim }, format!("http://127.0.0.1:{port}")))
}

/// A free port, for as long as the file is open: `cargo lambda watch` opens it only after a while, and another run must not
/// take it meanwhile.
fn claim(port: u16) -> Option<File> {
    let claim = File::create(std::env::temp_dir().join(format!("conversation-local-{port}"))).ok()?;
    claim.try_lock().ok()?;
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(claim)
}

/// What `cargo lambda invoke` asks, and AWS's own tools with `--endpoint-url`.
pub(crate) fn invocations(functions: Functions) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{function}/invocations", post(invoke))
        .layer(DefaultBodyLimit::max(EVENT_BYTES))
        .with_state(functions)
}

async fn invoke(
    State(functions): State<Functions>,
    InPath(function): InPath<String>,
    event: Bytes,
) -> Response {
    let refused = match functions.invoke(&function, event).await {
        Ok(answer) => return ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(InvokeError::Failed) => StatusCode::BAD_GATEWAY,
        Err(InvokeError::Unavailable) => StatusCode::GATEWAY_TIMEOUT,
        Err(InvokeError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    (refused, format!("{function} has not answered; its log says why")).into_response()
}
