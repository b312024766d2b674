//! Who may use a port of this machine: its programs, and pages served from that very port. A page of any other origin can
//! send requests here as well, since the browser that shows it runs on this machine; the headers that browsers add to such
//! requests are enough to recognise them.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The names under which a port of this machine is addressed, and the origins of other pages that may send requests.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    names: Vec<String>,
    origins: Vec<String>,
}

impl Names {
    pub(crate) fn of(port: u16) -> Self {
        let names = ["127.0.0.1", "localhost", "[::1]"];
        let with_port = names.iter().map(|name| format!("{name}:{port}"));
        let bare = names.iter().filter(|_| port == 80).map(|name| (*name).to_owned());
        Self { names: with_port.chain(bare).collect(), origins: Vec::new() }
    }

    /// The same, with origins of other pages, like `http://localhost:3000`.
    pub(crate) fn and_origins(self, origins: &[String]) -> Self {
        Self { origins: origins.to_owned(), ..self }
    }

    /// Whether pages of that origin are answered.
    pub(crate) fn is_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known == origin)
            || origin.strip_prefix("http://").is_some_and(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Says why a request is refused, if it is.
    fn refuse(&self, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        // A page whose own name was made to resolve to here (DNS rebinding) is of the same origin, but its name is in the
        // requests.
        let host = said(header::HOST.as_str()).unwrap_or_default();
        if !self.has(host) {
            return Some((StatusCode::MISDIRECTED_REQUEST, "Ask for localhost or 127.0.0.1"));
        }
        let origin = said(header::ORIGIN.as_str());
        if origin.is_some_and(|origin| self.origins.iter().any(|known| known == origin)) {
            return None;
        }
        let foreign = origin.is_some_and(|origin| !self.is_origin(origin));
        let from_elsewhere = matches!(said("sec-fetch-site"), Some("cross-site" | "same-site"));
        // A link shows the answer to the person who followed it, and not to the page that has the link.
        let followed = method == Method::GET
            && said("sec-fetch-mode") == Some("navigate")
            && said("sec-fetch-dest") == Some("document");
        (foreign || (from_elsewhere && !followed))
            .then_some((StatusCode::FORBIDDEN, "Pages of other origins are not answered"))
    }
}

/// Refuses all other requests.
pub(crate) async fn own_only(State(names): State<Names>, request: Request, next: Next) -> Response {
    match names.refuse(request.method(), request.headers()) {
        Some((status, why)) => {
            let body = serde_json::json!({ "message": why }).to_string();
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &Method, headers: &[(&'static str, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| {
            (axum::http::HeaderName::from_static(name), value.parse().unwrap_or_else(|_| unreachable!()))
        });
        let refused = Names::of(9_000).refuse(method, &headers.collect());
        refused.map_or(200, |(status, _)| status.as_u16())
    }

    fn get(headers: &[(&'static str, &str)]) -> u16 {
        status(&Method::GET, headers)
    }

    #[test]
    fn programs_and_pages_of_the_same_port_are_answered() {
        for host in ["127.0.0.1:9000", "localhost:9000", "LOCALHOST:9000", "[::1]:9000"] {
            assert_eq!(get(&[("host", host)]), 200, "{host}");
            assert_eq!(get(&[("host", host), ("origin", &format!("http://{host}"))]), 200, "{host}");
        }
        let own = [("host", "localhost:9000"), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
        assert_eq!(status(&Method::POST, &own), 200);
        assert_eq!(get(&[("host", "localhost:9000"), ("sec-fetch-site", "none")]), 200, "typed in");
    }

    #[test]
    fn other_names_and_pages_of_other_origins_are_not() {
        for host in ["evil.example:9000", "localhost", "127.0.0.1:80", "127.0.0.1.evil.example:9000", ""] {
            assert_eq!(status(&Method::GET, &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(&Method::GET, &[]), 421);
        for origin in ["null", "", "http://evil.example", "http://localhost:9001", "https://localhost:9000"] {
            let headers = [("host", "localhost:9000"), ("origin", origin)];
            assert_eq!(status(&Method::POST, &headers), 403, "{origin}");
        }
        let link = |method: &Method, site, dest| {
            let headers = [
                ("host", "localhost:9000"),
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", dest),
            ];
            status(method, &headers)
        };
        assert_eq!(link(&Method::GET, "cross-site", "document"), 200, "a link is followed");
        assert_eq!(link(&Method::GET, "same-site", "iframe"), 403);
        assert_eq!(link(&Method::POST, "cross-site", "document"), 403);
    }
}
