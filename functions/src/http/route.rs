//! The routes: which method on which path is which operation of which function.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

/// One route of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, with `{conversation_id}` where the id stands, and `{key+}` where the rest of it is a key.
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
    /// List conversations, or read all of what the caller has.
    List(ListOperation),
    /// Change.
    Update(UpdateOperation),
    /// Delete.
    Delete(DeleteOperation),
    /// Read or write records.
    Records(RecordsOperation),
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

/// What `list` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOperation {
    /// List conversations.
    Conversations,
    /// Say how much the caller has.
    Owner,
    /// Export what the caller has.
    Export,
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
    /// Delete the conversations that a filter lets through.
    Conversations,
    /// Erase everything that the caller has.
    Owner,
}

/// What `records` answers: of a conversation's records where the path names one, otherwise of the caller's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsOperation {
    /// Read one record.
    Get,
    /// Store one record.
    Put,
    /// Delete one record.
    Delete,
    /// List records.
    List,
    /// Write several records.
    Write,
    /// Delete the records whose keys begin with a text.
    DeletePrefix,
}

impl Operation {
    /// The function that answers it.
    pub fn function(self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Recent(_) => "recent",
            Self::Get(_) => "get",
            Self::List(_) => "list",
            Self::Update(_) => "update",
            Self::Delete(_) => "delete",
            Self::Records(_) => "records",
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
    Route {
        method: "GET",
        path: "/v1/conversations",
        operation: Operation::List(ListOperation::Conversations),
    },
    Route {
        method: "DELETE",
        path: "/v1/conversations",
        operation: Operation::Delete(DeleteOperation::Conversations),
    },
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
    records("GET", CONVERSATION_RECORDS, RecordsOperation::List),
    records("POST", CONVERSATION_RECORDS, RecordsOperation::Write),
    records("DELETE", CONVERSATION_RECORDS, RecordsOperation::DeletePrefix),
    records("GET", CONVERSATION_RECORD, RecordsOperation::Get),
    records("PUT", CONVERSATION_RECORD, RecordsOperation::Put),
    records("DELETE", CONVERSATION_RECORD, RecordsOperation::Delete),
    records("GET", OWNER_RECORDS, RecordsOperation::List),
    records("POST", OWNER_RECORDS, RecordsOperation::Write),
    records("DELETE", OWNER_RECORDS, RecordsOperation::DeletePrefix),
    records("GET", OWNER_RECORD, RecordsOperation::Get),
    records("PUT", OWNER_RECORD, RecordsOperation::Put),
    records("DELETE", OWNER_RECORD, RecordsOperation::Delete),
    Route { method: "GET", path: "/v1/owner", operation: Operation::List(ListOperation::Owner) },
    Route { method: "DELETE", path: "/v1/owner", operation: Operation::Delete(DeleteOperation::Owner) },
    Route { method: "GET", path: "/v1/owner/export", operation: Operation::List(ListOperation::Export) },
    Route { method: "GET", path: "/v1/health", operation: Operation::Get(GetOperation::Health) },
];

const CONVERSATION_RECORDS: &str = "/v1/conversations/{conversation_id}/records";
const CONVERSATION_RECORD: &str = "/v1/conversations/{conversation_id}/records/{key+}";
const OWNER_RECORDS: &str = "/v1/records";
const OWNER_RECORD: &str = "/v1/records/{key+}";

const fn records(method: &'static str, path: &'static str, operation: RecordsOperation) -> Route {
    Route { method, path, operation: Operation::Records(operation) }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) operation: Operation,
    pub(crate) names: Names,
}

/// The names in a path, decoded but not checked; none where the route has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) conversation_id: Option<String>,
    pub(crate) item_id: Option<String>,
    /// None inside: it is no text in UTF-8, and so no key of a record.
    pub(crate) key: Option<Option<String>>,
}

/// Finds what a request asks for.
pub(crate) fn find(method: &Method, path: &str) -> Option<Target> {
    // HEAD is GET without the body.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| Some(Target { operation: route.operation, names: matches(route.path, path)? }))
}

/// The methods that a path has.
pub(crate) fn methods(path: &str) -> Vec<&'static str> {
    let fits = |route: &&Route| matches(route.path, path).is_some();
    let both = |route: &Route| if route.method == "GET" { vec!["GET", "HEAD"] } else { vec![route.method] };
    ROUTES.iter().filter(fits).flat_map(both).collect()
}

/// Whether a path fits a pattern; the decoded names in it.
fn matches(pattern: &str, path: &str) -> Option<Names> {
    let mut names = Names::default();
    let (mut expected, mut given) = (pattern.split('/'), path.splitn(pattern.split('/').count(), '/'));
    loop {
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8_lossy().into_owned());
        match (expected.next(), given.next()) {
            (None, None) => return Some(names),
            // The last part of a pattern, to which everything that is left is given.
            (Some("{key+}"), Some(rest)) if !rest.is_empty() => {
                names.key = Some(percent_decode_str(rest).decode_utf8().map(Cow::into_owned).ok());
            }
            (_, Some(segment)) if segment.contains('/') => return None,
            (Some("{conversation_id}"), Some(segment)) if !segment.is_empty() => {
                names.conversation_id = decoded(segment);
            }
            (Some("{item_id}"), Some(segment)) if !segment.is_empty() => names.item_id = decoded(segment),
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
        let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let target = |operation, conversation_id: &str, item_id: &str| {
            let names = Names { conversation_id: name(conversation_id), item_id: name(item_id), key: None };
            Some(Target { operation, names })
        };
        let get = |path: &str| find(&Method::GET, path);
        assert_eq!(get("/v1/conversations"), target(Operation::List(ListOperation::Conversations), "", ""));
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
        let record = |operation, conversation_id: &str, key: &str| {
            let names =
                Names { conversation_id: name(conversation_id), item_id: None, key: name(key).map(Some) };
            Some(Target { operation: Operation::Records(operation), names })
        };
        assert_eq!(get("/v1/conversations/c/records"), record(RecordsOperation::List, "c", ""));
        assert_eq!(
            get("/v1/conversations/c/records/a/b%2Fc%20d"),
            record(RecordsOperation::Get, "c", "a/b/c d")
        );
        assert_eq!(get("/v1/records//a/"), record(RecordsOperation::Get, "", "/a/"));
        assert_eq!(get("/v1/records"), record(RecordsOperation::List, "", ""));
        assert_eq!(methods("/v1/records/a"), ["GET", "HEAD", "PUT", "DELETE"]);
        for unknown in [
            "/v1/records/",
            "/v1/conversations/c/records/",
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
