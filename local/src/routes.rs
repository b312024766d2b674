//! The route table of the workspace, which `cargo lambda watch` reads too.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::folders::workspace;

/// The function that answers requests without a route.
pub const DEFAULT_FUNCTION: &str = "get";

/// Which function answers which requests.
#[derive(Debug)]
pub struct Routes {
    by_path: matchit::Router<String>,
    all: BTreeMap<String, Vec<Target>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    method: String,
    function: String,
}

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    /// `POST /v1/conversations`, or `$default`.
    pub(crate) key: String,
    pub(crate) function: String,
    pub(crate) parameters: Vec<(String, String)>,
}

impl Routes {
    /// Reads the table from the workspace's manifest.
    ///
    /// # Errors
    /// It is not there, or not a table of routes.
    pub fn load() -> Result<Self> {
        let manifest = workspace().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest);
        text.map_err(Into::into)
            .and_then(|text| Self::parse(&text))
            .with_context(|| manifest.display().to_string())
    }

    fn parse(manifest: &str) -> Result<Self> {
        let manifest: toml::Table = manifest.parse()?;
        let path = ["workspace", "metadata", "lambda", "watch", "router"];
        let router =
            path.iter().try_fold(&toml::Value::Table(manifest), |table, key| table.get(key)).cloned();
        let all: BTreeMap<String, Vec<Target>> = router.context("no route table")?.try_into()?;
        let mut by_path = matchit::Router::new();
        for path in all.keys() {
            by_path.insert(path, path.clone())?;
        }
        Ok(Self { by_path, all })
    }

    /// Lists all of them as API Gateway spells them: method, path, function. HEAD stands beside each GET.
    pub fn all(&self) -> impl Iterator<Item = (&str, String, &str)> {
        self.all.iter().flat_map(|(path, targets)| {
            targets
                .iter()
                .map(move |target| (target.method.as_str(), of_gateway(path), target.function.as_str()))
        })
    }

    pub(crate) fn find(&self, method: &str, path: &str) -> Matched {
        let default =
            || Matched { key: "$default".into(), function: DEFAULT_FUNCTION.into(), parameters: vec![] };
        let Ok(found) = self.by_path.at(path) else { return default() };
        let targets = self.all.get(found.value).into_iter().flatten();
        let Some(target) = targets.into_iter().find(|target| target.method == method) else {
            return default();
        };
        Matched {
            key: format!("{method} {}", of_gateway(found.value)),
            function: target.function.clone(),
            parameters: found
                .params
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// A path as API Gateway spells it: the rest of a path has another sign there.
fn of_gateway(path: &str) -> String {
    path.replace("{*key}", "{key+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_find_their_function() {
        let routes = Routes::load().unwrap();
        let matched = routes.find("GET", "/v1/conversations/c1/messages");
        assert_eq!(matched.key, "GET /v1/conversations/{conversation_id}/messages");
        assert_eq!(matched.function, "recent");
        assert_eq!(matched.parameters, [("conversation_id".to_owned(), "c1".to_owned())]);
        let matched = routes.find("PUT", "/v1/records/a/b");
        assert_eq!(
            (matched.key.as_str(), matched.parameters[0].1.as_str()),
            ("PUT /v1/records/{key+}", "a/b")
        );
        for (method, path) in [("PUT", "/v1/conversations"), ("GET", "/"), ("GET", "/v1/conversations/")] {
            assert_eq!(routes.find(method, path).key, "$default", "{method} {path}");
        }
    }
}
