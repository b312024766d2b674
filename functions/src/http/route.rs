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
    /// What it asks for.
    pub operation: Operation,
}

/// What a caller may ask for, by the function that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create or add.
    Add(AddOperation),
    /// Read messages.
    Recent(RecentOperation),
    /// Read a conversation, or the function's health.
    Get(GetOperation),
    /// List conversations.
    List,
    /// Change.
    Update(UpdateOperation),
    /// Delete.
    Delete(DeleteOperation),
}

/// What `add` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddOperation {
    /// Create a conversation.
    Conversation,
    /// Add messages.
    Messages,
    /// Add items to a conversation that exists.
    Items,
}

/// What `recent` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentOperation {
    /// Read messages.
    Messages,
    /// List items.
    Items,
    /// Read one item.
    Item,
}

/// What `get` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetOperation {
    /// Read a conversation without its messages.
    Conversation,
    /// Ask whether the function is alive.
    Health,
}

/// What `update` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOperation {
    /// Change title and metadata.
    Conversation,
    /// Replace the messages after a position.
    Messages,
}

/// What `delete` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOperation {
    /// Delete a conversation.
    Conversation,
    /// Delete one item, which is one message.
    Item,
}

impl Operation {
    /// The function that answers it.
    pub fn function(self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Recent(_) => "recent",
            Self::Get(_) => "get",
            Self::List => "list",
            Self::Update(_) => "update",
            Self::Delete(_) => "delete",
        }
    }
}

/// All routes. The template and the local route table are tested against this.
pub const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/v1/conversations",
        operation: Operation::Add(AddOperation::Conversation),
    },
    Route { method: "GET", path: "/v1/conversations", operation: Operation::List },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}",
        operation: Operation::Get(GetOperation::Conversation),
    },
    Route {
        method: "POST",
        path: "/v1/conversations/{conversation_id}",
        operation: Operation::Update(UpdateOperation::Conversation),
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations/{conversation_id}",
        operation: Operation::Delete(DeleteOperation::Conversation),
    },
    Route {
        method: "POST",
        path: "/v1/conversations/{conversation_id}/messages",
        operation: Operation::Add(AddOperation::Messages),
    },
    Route {
        method: "PUT",
        path: "/v1/conversations/{conversation_id}/messages",
        operation: Operation::Update(UpdateOperation::Messages),
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}/messages",
        operation: Operation::Recent(RecentOperation::Messages),
    },
    Route {
        method: "POST",
        path: "/v1/conversations/{conversation_id}/items",
        operation: Operation::Add(AddOperation::Items),
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}/items",
        operation: Operation::Recent(RecentOperation::Items),
    },
    Route {
        method: "GET",
        path: "/v1/conversations/{conversation_id}/items/{item_id}",
        operation: Operation::Recent(RecentOperation::Item),
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations/{conversation_id}/items/{item_id}",
        operation: Operation::Delete(DeleteOperation::Item),
    },
    Route { method: "GET", path: "/v1/health", operation: Operation::Get(GetOperation::Health) },
];

/// What a request asks for, and the ids in its path, decoded but not checked; empty where the route has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) operation: Operation,
    pub(crate) conversation_id: String,
    pub(crate) item_id: String,
}

/// Finds what a request asks for.
pub(crate) fn find(method: &Method, path: &str) -> Option<Target> {
    // HEAD is GET without the body.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().filter(|route| route.method == method).find_map(|route| {
        let [conversation_id, item_id] = matches(route.path, path)?;
        Some(Target { operation: route.operation, conversation_id, item_id })
    })
}

/// The methods that a path has.
pub(crate) fn methods(path: &str) -> Vec<&'static str> {
    let fits = |route: &&Route| matches(route.path, path).is_some();
    let both = |route: &Route| if route.method == "GET" { vec!["GET", "HEAD"] } else { vec![route.method] };
    ROUTES.iter().filter(fits).flat_map(both).collect()
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
        let target = |operation, conversation_id: &str, item_id: &str| {
            Some(Target { operation, conversation_id: conversation_id.into(), item_id: item_id.into() })
        };
        let get = |path: &str| find(&Method::GET, path);
        assert_eq!(get("/v1/conversations"), target(Operation::List, "", ""));
        assert_eq!(
            get("/v1/conversations/a%20b"),
            target(Operation::Get(GetOperation::Conversation), "a b", "")
        );
        assert_eq!(
            get("/v1/conversations/c/messages"),
            target(Operation::Recent(RecentOperation::Messages), "c", "")
        );
        assert_eq!(
            get("/v1/conversations/c/items"),
            target(Operation::Recent(RecentOperation::Items), "c", "")
        );
        assert_eq!(
            get("/v1/conversations/c/items/m"),
            target(Operation::Recent(RecentOperation::Item), "c", "m")
        );
        assert_eq!(get("/v1/health"), target(Operation::Get(GetOperation::Health), "", ""));
        let delete = find(&Method::DELETE, "/v1/conversations/c/items/m%2E1");
        assert_eq!(delete, target(Operation::Delete(DeleteOperation::Item), "c", "m.1"));
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
        assert_eq!(find(&Method::HEAD, "/v1/conversations/c"), get("/v1/conversations/c"));
        assert_eq!(methods("/v1/conversations/c"), ["GET", "HEAD", "POST", "DELETE"]);
        assert_eq!(methods("/v1/conversations/c/"), [""; 0]);
    }
}
