//! The routes: which method on which path is which operation of which function.

use lambda_http::http::Method;
use percent_encoding::percent_decode_str;

/// One route of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, with `{conversation_id}` where the id stands.
    pub path: &'static str,
    /// The function that answers it.
    pub function: &'static str,
    /// What it asks for.
    pub operation: Operation,
}

/// What a caller may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create a conversation.
    Create,
    /// Add messages.
    Add,
    /// Read messages.
    Recent,
    /// Read what is known of a conversation.
    Get,
    /// List conversations.
    List,
    /// Delete a conversation.
    Delete,
    /// Ask whether the function is alive.
    Health,
}

/// All routes. The template and the local route table are tested against this.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/v1/conversations", function: "add", operation: Operation::Create },
    Route { method: "GET", path: "/v1/conversations", function: "list", operation: Operation::List },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}",
        function: "get",
        operation: Operation::Get,
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations/{conversation_id}",
        function: "delete",
        operation: Operation::Delete,
    },
    Route {
        method: "POST",
        path: "/v1/conversations/{conversation_id}/messages",
        function: "add",
        operation: Operation::Add,
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}/messages",
        function: "recent",
        operation: Operation::Recent,
    },
    Route { method: "GET", path: "/v1/health", function: "get", operation: Operation::Health },
];

/// Finds the operation that a request asks for, and the id in its path, decoded but not checked.
pub(crate) fn find(method: &Method, path: &str) -> Option<(Operation, String)> {
    ROUTES.iter().filter(|route| route.method == method.as_str()).find_map(|route| {
        let id = matches(route.path, path)?;
        Some((route.operation, id))
    })
}

/// Whether a path fits a pattern; the decoded id in it, empty where the pattern has none.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let mut id = String::new();
    let (mut expected, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return Some(id),
            (Some("{conversation_id}"), Some(segment)) if !segment.is_empty() => {
                id = percent_decode_str(segment).decode_utf8_lossy().into_owned();
            }
            (expected, given) if expected == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_and_ids_decoded() {
        let get = |path: &str| find(&Method::GET, path);
        assert_eq!(get("/v1/conversations"), Some((Operation::List, String::new())));
        assert_eq!(get("/v1/conversations/a%20b"), Some((Operation::Get, "a b".into())));
        assert_eq!(get("/v1/conversations/c/messages"), Some((Operation::Recent, "c".into())));
        assert_eq!(get("/v1/health"), Some((Operation::Health, String::new())));
        for unknown in
            ["/", "/v1", "/v1/conversations/", "/v1/conversations/c/", "/v1/conversations/c/messages/1"]
        {
            assert_eq!(get(unknown), None, "{unknown}");
        }
        assert_eq!(find(&Method::PUT, "/v1/conversations/c"), None);
    }
}
