//! The routes: which method on which path is which operation of which function.

use http::Method;
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
    /// Add items to a conversation that exists.
    AddItems,
    /// Read messages.
    Recent,
    /// List items.
    Items,
    /// Read one item.
    Item,
    /// Read what is known of a conversation.
    Get,
    /// List conversations.
    List,
    /// Change title and metadata.
    Update,
    /// Delete a conversation.
    Delete,
    /// Delete one item, which is one message.
    DeleteItem,
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
        method: "POST",
        path: "/v1/conversations/{conversation_id}",
        function: "update",
        operation: Operation::Update,
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
    Route {
        method: "POST",
        path: "/v1/conversations/{conversation_id}/items",
        function: "add",
        operation: Operation::AddItems,
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}/items",
        function: "recent",
        operation: Operation::Items,
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}/items/{item_id}",
        function: "recent",
        operation: Operation::Item,
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations/{conversation_id}/items/{item_id}",
        function: "delete",
        operation: Operation::DeleteItem,
    },
    Route { method: "GET", path: "/v1/health", function: "get", operation: Operation::Health },
];

/// What a request asks for, and the ids in its path, decoded but not checked; empty where the route has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) function: &'static str,
    pub(crate) operation: Operation,
    pub(crate) conversation_id: String,
    pub(crate) item_id: String,
}

/// Finds what a request asks for.
pub(crate) fn find(method: &Method, path: &str) -> Option<Target> {
    ROUTES.iter().filter(|route| route.method == method.as_str()).find_map(|route| {
        let [conversation_id, item_id] = matches(route.path, path)?;
        Some(Target { function: route.function, operation: route.operation, conversation_id, item_id })
    })
}

/// The methods that a path has.
pub(crate) fn methods(path: &str) -> Vec<&'static str> {
    ROUTES.iter().filter(|route| matches(route.path, path).is_some()).map(|route| route.method).collect()
}

/// Whether a path fits a pattern; the decoded ids in it.
fn matches(pattern: &str, path: &str) -> Option<[String; 2]> {
    let mut ids = [String::new(), String::new()];
    let (mut expected, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        match (expected.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some("{conversation_id}"), Some(segment)) if !segment.is_empty() => ids[0] = decoded(segment),
            (Some("{item_id}"), Some(segment)) if !segment.is_empty() => ids[1] = decoded(segment),
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
        let target = |function, operation, conversation_id: &str, item_id: &str| {
            Some(Target {
                function,
                operation,
                conversation_id: conversation_id.into(),
                item_id: item_id.into(),
            })
        };
        let get = |path: &str| find(&Method::GET, path);
        assert_eq!(get("/v1/conversations"), target("list", Operation::List, "", ""));
        assert_eq!(get("/v1/conversations/a%20b"), target("get", Operation::Get, "a b", ""));
        assert_eq!(get("/v1/conversations/c/messages"), target("recent", Operation::Recent, "c", ""));
        assert_eq!(get("/v1/conversations/c/items"), target("recent", Operation::Items, "c", ""));
        assert_eq!(get("/v1/conversations/c/items/m"), target("recent", Operation::Item, "c", "m"));
        assert_eq!(get("/v1/health"), target("get", Operation::Health, "", ""));
        let delete = find(&Method::DELETE, "/v1/conversations/c/items/m%2E1");
        assert_eq!(delete, target("delete", Operation::DeleteItem, "c", "m.1"));
        for unknown in [
            "/",
            "/v1",
            "/v1/conversations/",
            "/v1/conversations/c/",
            "/v1/conversations/c/messages/1",
            "/v1/conversations/c/items/",
        ] {
            assert_eq!(get(unknown), None, "{unknown}");
        }
        assert_eq!(find(&Method::PUT, "/v1/conversations/c"), None);
        assert_eq!(methods("/v1/conversations/c"), ["GET", "POST", "DELETE"]);
        assert_eq!(methods("/v1/conversations/c/"), [""; 0]);
    }
}
