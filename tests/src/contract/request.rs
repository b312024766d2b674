//! The contract's examples, as requests and what they are answered with.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Contract, Node, Operation};

/// What of an operation every example may change: `x-request`.
const CHANGES: &str = "x-request";
/// The operation that is to be called before one that needs something to be there: `x-after`.
const AFTER: &str = "x-after";

/// A request, and what the contract says that it is answered with.
#[derive(Clone, Debug)]
pub struct Example {
    /// The operation, the status, and what the example is called.
    pub name: String,
    /// What is to be sent before.
    pub before: Option<Sent>,
    /// The request.
    pub sent: Sent,
    /// The status of the answer.
    pub status: u16,
    /// Its body, if the contract shows one.
    pub answer: Option<Value>,
}

/// A request that can be sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The operation.
    pub operation: String,
    /// The method.
    pub method: String,
    /// The path, with the query.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body, JSON.
    pub body: Option<String>,
}

impl Contract {
    /// All examples that name a request.
    pub fn examples(&self) -> Vec<Example> {
        self.operations().flat_map(|operation| self.examples_of(operation)).collect()
    }

    fn examples_of(&self, operation: Operation<'_>) -> Vec<Example> {
        let mut examples = Vec::new();
        for (status, response) in self.responses(operation) {
            let content = response.get("content").get("application/json");
            let example = |name: &str, before, sent, answer: &Node| Example {
                name: format!("{} {status} {name}", operation.id()),
                before,
                sent,
                status: status.parse().unwrap_or_default(),
                answer: Some(answer).filter(|answer| !answer.is_null()).map(Node::json),
            };
            if status.starts_with('2') {
                for (name, sent) in self.requests(operation) {
                    let before = operation.node.get(AFTER).text().and_then(|id| self.request(id));
                    examples.push(example(&name, before, sent, content.get("example")));
                }
            }
            for (name, shown) in content.get("examples").entries() {
                let changes = shown.get(CHANGES);
                if !changes.is_null() {
                    let parameters = changes.get("parameters");
                    let before = changes.get("after").text().and_then(|id| self.operation(id));
                    let before =
                        before.map(|before| self.changed(before, parameters, changes.get("after_body")));
                    let sent = self.changed(operation, parameters, changes.get("body"));
                    examples.push(example(name, before, sent, shown.get("value")));
                }
            }
        }
        examples
    }

    /// The first request that the contract shows of an operation.
    pub fn request(&self, id: &str) -> Option<Sent> {
        self.requests(self.operation(id)?).into_iter().next().map(|(_, sent)| sent)
    }

    /// The requests that the contract shows of an operation, by what they are called.
    pub fn requests(&self, operation: Operation<'_>) -> Vec<(String, Sent)> {
        let bodies = self.bodies(operation);
        if bodies.is_null() {
            return vec![(String::new(), self.sent(operation, &Node::Null, None))];
        }
        let sent = |shown: &Node| self.sent(operation, &Node::Null, Some(shown.get("value")));
        bodies.entries().map(|(name, shown)| (name.to_owned(), sent(shown))).collect()
    }

    /// The first request that the contract shows of an operation, with other parameters, and with another body if one is
    /// given.
    fn changed(&self, operation: Operation<'_>, parameters: &Node, body: &Node) -> Sent {
        let body = Some(body).filter(|body| !body.is_null());
        let usual = self.bodies(operation).entries().next().map(|(_, shown)| shown.get("value"));
        self.sent(operation, parameters, body.or(usual))
    }

    fn bodies<'a>(&'a self, operation: Operation<'a>) -> &'a Node {
        let body = self.resolve(operation.node.get("requestBody"));
        body.get("content").get("application/json").get("examples")
    }

    fn sent(&self, operation: Operation<'_>, parameters: &Node, body: Option<&Node>) -> Sent {
        let (mut path, mut query, mut headers) = (operation.path.to_owned(), Vec::new(), Vec::new());
        for parameter in self.parameters(operation) {
            let name = parameter.get("name").text().unwrap_or_default();
            let given = parameters.get(name);
            let value = text(if given.is_null() { parameter.get("example") } else { given });
            let Some(value) = value else { continue };
            let escaped = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
            match parameter.get("in").text() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &escaped),
                Some("query") => query.push(format!("{name}={escaped}")),
                _ => headers.push((name.to_owned(), value)),
            }
        }
        // A header that only this example sends.
        let known: Vec<_> = self.parameters(operation).filter_map(|known| known.get("name").text()).collect();
        let others =
            parameters.entries().filter(|(name, _)| *name != "content-type" && !known.contains(name));
        headers.extend(others.filter_map(|(name, value)| Some((name.to_owned(), text(value)?))));
        if body.is_some() {
            let kind = text(parameters.get("content-type"));
            headers.push(("content-type".into(), kind.unwrap_or_else(|| "application/json".into())));
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        Sent {
            operation: operation.id().into(),
            method: operation.method.to_uppercase(),
            path: path + &query,
            headers,
            body: body.map(|body| body.json().to_string()),
        }
    }
}

/// A parameter's value as it is sent.
fn text(value: &Node) -> Option<String> {
    match value {
        Node::Null => None,
        Node::Text(text) => Some(text.clone()),
        other => Some(other.json().to_string()),
    }
}
