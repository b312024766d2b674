//! The contract of the HTTP API, `infra/openapi.yaml`, and what must agree with it.

mod document;
mod reference;
mod request;
mod trial;

use std::collections::BTreeSet;
use std::path::PathBuf;

use conversation_functions::ROUTES;
use conversation_local::{Routes, workspace};

pub use document::Node;
pub use request::{Example, Sent};
pub use trial::{Trial, attempt};

/// Methods that a path of the contract may have; its other keys are no operations.
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Why something does not agree, or could not be read.
pub type Mismatch = Box<dyn std::error::Error + Send + Sync>;

/// A route: method and path.
pub type Route = (String, String);

/// The contract.
#[derive(Debug)]
pub struct Contract {
    document: Node,
}

/// One operation of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// The method, in capitals where it is shown.
    pub method: &'a str,
    /// The path, with `{conversation_id}` where the id stands.
    pub path: &'a str,
    /// What the contract says of all operations of this path.
    pub shared: &'a Node,
    /// What it says of this one.
    pub node: &'a Node,
}

impl Contract {
    /// Where it is.
    pub fn file() -> PathBuf {
        workspace().join("infra/openapi.yaml")
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is not there, or not YAML.
    pub fn load() -> Result<Self, Mismatch> {
        Ok(Self { document: serde_saphyr::from_str(&std::fs::read_to_string(Self::file())?)? })
    }

    /// All operations, in their order.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.document.get("paths").entries().flat_map(|(path, shared)| {
            let operations = shared.entries().filter(|(method, _)| METHODS.contains(method));
            operations.map(move |(method, node)| Operation { method, path, shared, node })
        })
    }

    /// The operation of that name.
    pub fn operation(&self, id: &str) -> Option<Operation<'_>> {
        self.operations().find(|operation| operation.id() == id)
    }

    /// What stands there, or what it refers to.
    pub fn resolve<'a>(&'a self, node: &'a Node) -> &'a Node {
        let Some(reference) = node.get("$ref").text() else { return node };
        let steps = reference.trim_start_matches("#/").split('/');
        self.resolve(steps.fold(&self.document, |node, step| node.get(step)))
    }

    /// The parameters of an operation, those of its path among them.
    pub fn parameters<'a>(&'a self, operation: Operation<'a>) -> impl Iterator<Item = &'a Node> {
        let all = operation.shared.get("parameters").items().chain(operation.node.get("parameters").items());
        all.map(|parameter| self.resolve(parameter))
    }

    /// The statuses that an operation answers, each with what the contract says of it.
    pub fn responses<'a>(&'a self, operation: Operation<'a>) -> impl Iterator<Item = (&'a str, &'a Node)> {
        operation.node.get("responses").entries().map(|(status, response)| (status, self.resolve(response)))
    }

    /// Its routes.
    pub fn routes(&self) -> BTreeSet<Route> {
        // A key is the rest of the path, which OpenAPI has no word for.
        let path = |operation: &Operation<'_>| operation.path.replace("{key}", "{key+}");
        self.operations().map(|operation| (operation.method.to_uppercase(), path(&operation))).collect()
    }

    /// Holds it against everything that must say the same: the functions, the template, the local route table, and the
    /// reference page.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self) -> Result<(), Mismatch> {
        let mut watch: BTreeSet<_> =
            Routes::load()?.all().map(|(method, path, _)| (method.to_owned(), path)).collect();
        // Where there is GET there is HEAD, which the others do not write out.
        for (_, path) in self.routes().into_iter().filter(|(method, _)| method == "GET") {
            if !watch.remove(&("HEAD".to_owned(), path.clone())) {
                return Err(format!("Cargo.toml has no HEAD {path}").into());
            }
        }
        let functions =
            ROUTES.iter().map(|route| (route.method, route.path, route.operation.function())).map(named);
        let template = template_routes()?.into_iter().map(|(method, path, _)| (method, path)).collect();
        for (name, routes) in [
            ("functions/src/http/route.rs", functions.collect()),
            ("Cargo.toml", watch),
            ("infra/functions.yaml", template),
        ] {
            let differences: Vec<_> = self.routes().symmetric_difference(&routes).cloned().collect();
            if !differences.is_empty() {
                return Err(format!("infra/openapi.yaml and {name} differ: {differences:?}").into());
            }
        }
        self.check_reference()
    }
}

fn named((method, path, _): (&str, &str, &str)) -> Route {
    (method.into(), path.into())
}

/// The routes that are deployed, each with the function that answers it.
///
/// # Errors
/// It cannot be read.
pub fn template_routes() -> Result<BTreeSet<(String, String, String)>, Mismatch> {
    let table: Node =
        serde_saphyr::from_str(&std::fs::read_to_string(workspace().join("infra/functions.yaml"))?)?;
    let routes = table.entries().flat_map(|(function, said)| {
        let keys = said.get("routes").entries().filter_map(|(_, key)| key.text()?.split_once(' '));
        let ours = keys.filter(|(_, path)| path.starts_with("/v1/"));
        ours.map(move |(method, path)| (method.to_owned(), path.to_owned(), function.to_owned()))
    });
    Ok(routes.collect())
}

impl<'a> Operation<'a> {
    /// Its name.
    pub fn id(&self) -> &'a str {
        self.node.get("operationId").text().unwrap_or_default()
    }
}
