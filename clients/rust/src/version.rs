//! The versions of the contract that server and client speak.

use std::sync::OnceLock;

use crate::error::Error;
use crate::response::Response;

/// The version of the HTTP contract (`info.version` of `infra/openapi.yaml`) that this client is made for.
pub const CONTRACT_VERSION: &str = "0.1.0";

/// Compares the versions with the first answer that names the server's.
#[derive(Debug, Default)]
pub(crate) struct VersionCheck {
    server: OnceLock<String>,
}

impl VersionCheck {
    /// The server's version, once it is known.
    pub(crate) fn server(&self) -> Option<&str> {
        self.server.get().map(String::as_str)
    }

    /// Checks an answer. One without a version may be that of a gateway, which says nothing about the server.
    pub(crate) fn check(&self, response: &Response) -> Result<(), Error> {
        if self.server.get().is_some() {
            return Ok(());
        }
        let Some(server) = response.header("x-contract-version") else { return Ok(()) };
        if major(server) != major(CONTRACT_VERSION) {
            return Err(Error::Incompatible { server: server.to_owned(), client: CONTRACT_VERSION });
        }
        // Somebody else may have been faster, and has then said it.
        if self.server.set(server.to_owned()).is_ok() && is_older(server) {
            tracing::warn!(
                "the server speaks version {server} of the contract, which lacks some of what this client, of {CONTRACT_VERSION}, may ask for"
            );
        }
        Ok(())
    }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

/// Whether a server of the same major version has an older minor one.
fn is_older(server: &str) -> bool {
    let minor = |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    minor(server) < minor(CONTRACT_VERSION)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::HeaderMap;
    use hyper::body::Bytes;
    use hyper::header::HeaderName;

    use super::*;

    fn answer(version: Option<&'static str>) -> Response {
        let name = HeaderName::from_static("x-contract-version");
        let headers: HeaderMap =
            version.map(|version| (name, version.parse().unwrap())).into_iter().collect();
        Response { status: 200, headers, body: Bytes::new(), took: Duration::ZERO }
    }

    #[test]
    fn another_major_version_is_an_error_that_names_both() {
        let check = VersionCheck::default();
        check.check(&answer(None)).unwrap();
        for _ in 0..2 {
            let error = check.check(&answer(Some("9.1.0"))).unwrap_err().to_string();
            assert!(error.contains("9.1.0") && error.contains(CONTRACT_VERSION), "{error}");
        }
        assert_eq!(check.server(), None);
        check.check(&answer(Some("0.99.1"))).unwrap();
        assert_eq!(check.server(), Some("0.99.1"));
        check.check(&answer(Some("9.1.0"))).unwrap();
    }

    #[test]
    fn an_older_minor_version_is_known() {
        let minor: u32 = CONTRACT_VERSION.split('.').nth(1).unwrap().parse().unwrap();
        for (minor, expected) in [(minor - 1, true), (minor, false), (minor + 1, false), (minor + 10, false)]
        {
            assert_eq!(is_older(&format!("{}.{minor}.7", major(CONTRACT_VERSION))), expected, "{minor}");
        }
    }
}
