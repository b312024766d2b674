//! From what the store answers to HTTP. Messages and conversations are JSON already; here they are only put together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use conversation_core::{
    Added, CacheUpdate, Conversation, ConversationId, Error, Listing, Message, MessageId, Order, OwnerId,
    Page, Read, Source, UNIDENTIFIED_VALIDITY,
};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::item::Item;
use crate::telemetry::Outcome;

/// The largest body, in bytes as the runtime sends it: inside a JSON string. Below Lambda's 6 MB.
const BODY_BYTES: usize = 5 * 1024 * 1024;

/// A successful answer: a JSON body, and where it came from.
#[derive(Debug)]
pub struct ApiResponse {
    body: String,
    cache_status: Option<CacheStatus>,
    /// Whether the body is messages that the window may have.
    window: bool,
}

/// Where a read was answered from, or what the cache knows of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    Read(Source),
    Written(CacheUpdate),
}

impl ApiResponse {
    fn new(body: String) -> Self {
        Self { body, cache_status: None, window: false }
    }

    /// Any JSON.
    pub fn json(body: &Value) -> Self {
        Self::new(body.to_string())
    }

    /// What a read found, or that it found nothing; and where.
    ///
    /// # Errors
    /// There is no such conversation, or the store failed.
    pub fn found<T>(
        read: Result<Read<T>, Error>,
        id: &ConversationId,
        reply: impl FnOnce(T) -> Self,
    ) -> Result<Self, Failure> {
        let Read { found, source } = read.map_err(Failure::about(Some(id)))?;
        match found {
            Some(found) => Ok(reply(found).read_from(source)),
            None => Err(Failure::no_conversation(id.as_str()).read_from(source)),
        }
    }

    /// One message as an item, or that there is none.
    ///
    /// # Errors
    /// There is no such message or conversation, or the store failed.
    pub fn found_message(
        read: Result<Read<Message>, Error>,
        id: &ConversationId,
        message_id: &MessageId,
    ) -> Result<Self, Failure> {
        let Read { found, source } = read.map_err(Failure::about(Some(id)))?;
        let none = || Failure::about_message(id, message_id)(Error::NotFound).read_from(source);
        found.map(|message| Self::new(Item::of(&message).into_json()).read_from(source)).ok_or_else(none)
    }

    /// The function runs.
    pub fn alive() -> Self {
        Self::json(&json!({ "status": "ok" }))
    }

    /// That Postgres answers, and whether Redis does.
    pub(crate) fn health(redis: bool) -> Self {
        let (status, redis) = if redis { ("ok", "ok") } else { ("degraded", "unreachable") };
        Self::json(&json!({ "status": status, "postgres": "ok", "redis": redis }))
    }

    /// A conversation.
    pub fn conversation(conversation: &Conversation) -> Self {
        Self::new(conversation.to_json())
    }

    /// That a conversation is deleted.
    pub fn deleted(id: &str) -> Self {
        Self::json(&json!({ "id": id, "object": "conversation.deleted", "deleted": true }))
    }

    /// The messages of an add. Where they do not all fit into an answer, the first ones stay; all are stored.
    pub fn added(mut added: Added) -> Self {
        let has_more = fit(&mut added.messages, true);
        let conversation = [
            ("id", Value::from(added.conversation.id.as_str())),
            ("version", Value::from(added.conversation.version)),
        ];
        Self::new(list(&added.messages, &conversation, &[("has_more", has_more.into())]))
    }

    /// Messages, oldest first. `before` and `after` are the positions to ask for next to get what lies beside them:
    /// `before` is null where there is nothing older; newer messages may always come.
    ///
    /// Where they do not all fit into an answer, those nearest to where the reading began stay.
    pub fn messages(mut page: Page<Message>, forward: bool) -> Self {
        if fit(&mut page.items, forward) {
            page.has_more = true;
        }
        // Positions begin at 1, so that only what lies before a later one can be older.
        let oldest =
            page.items.first().map(Message::seq).filter(|seq| if forward { *seq > 1 } else { page.has_more });
        let edges = [
            ("has_more", page.has_more.into()),
            ("before", oldest.into()),
            ("after", page.items.last().map(Message::seq).into()),
        ];
        Self { window: true, ..Self::new(list(&page.items, &[], &edges)) }
    }

    /// Items in either order. Where they do not all fit into an answer, the first ones stay.
    pub fn items(page: &Page<Message>, order: Order) -> Self {
        let mut items: Vec<Item> = page.items.iter().map(Item::of).collect();
        if order == Order::Descending {
            items.reverse();
        }
        let has_more = fit(&mut items, true) || page.has_more;
        Self { window: true, ..Self::new(list(&items, &[], &[("has_more", has_more.into())])) }
    }

    /// The items of an add.
    pub fn added_items(added: &Added) -> Self {
        let mut items: Vec<Item> = added.messages.iter().map(Item::of).collect();
        let has_more = fit(&mut items, true);
        let edges = [("has_more", has_more.into()), ("version", added.conversation.version.into())];
        Self::new(list(&items, &[], &edges))
    }

    /// Conversations, and the cursors to the pages beside them. None: they do not fit into an answer.
    pub fn listing(listing: &Listing, owner: &OwnerId) -> Option<Self> {
        #[derive(Serialize)]
        struct List<'a> {
            object: &'static str,
            data: &'a [Conversation],
            first_id: Option<&'a str>,
            last_id: Option<&'a str>,
            has_more: bool,
            before: Option<String>,
            after: Option<String>,
        }
        let data = listing.page.items.as_slice();
        let list = List {
            object: "list",
            data,
            first_id: data.first().map(|conversation| conversation.id.as_str()),
            last_id: data.last().map(|conversation| conversation.id.as_str()),
            has_more: listing.page.has_more,
            before: listing.before.as_ref().map(|cursor| cursor.encode(owner)),
            after: listing.after.as_ref().map(|cursor| cursor.encode(owner)),
        };
        // Every part of it has a JSON form.
        let body = serde_json::to_string(&list).unwrap_or_default();
        (enveloped(&body) <= BODY_BYTES).then(|| Self::new(body))
    }

    /// Says where a read was answered from.
    #[must_use]
    pub fn read_from(self, source: Source) -> Self {
        Self { cache_status: Some(CacheStatus::Read(source)), ..self }
    }

    /// Says what the cache knows of a write.
    #[must_use]
    pub fn written(self, cache_update: CacheUpdate) -> Self {
        Self { cache_status: Some(CacheStatus::Written(cache_update)), ..self }
    }

    /// What telemetry records of it.
    pub(crate) fn outcome(&self) -> Outcome {
        let of_window =
            matches!(self.cache_status, Some(CacheStatus::Read(source)) if source != Source::Bypass);
        let window_bytes = (self.window && of_window).then_some(self.body.len());
        Outcome { status: 200, is_error: false, cache_status: self.cache_status, window_bytes }
    }

    pub(crate) fn into_answer(self) -> LambdaResponse {
        let headers = [("cache-status", self.cache_status.map(CacheStatus::cache_status))];
        respond(200, &self.body, headers)
    }
}

impl CacheStatus {
    /// As RFC 9211 has it.
    fn cache_status(self) -> String {
        match self {
            Self::Read(Source::Hit) => "redis; hit".into(),
            Self::Read(Source::BoundedHit) => {
                format!("redis; hit; detail=failover-{}s", UNIDENTIFIED_VALIDITY.as_secs())
            }
            Self::Read(Source::Miss { reason, stored: true }) => {
                format!("redis; fwd=miss; detail={reason}; stored")
            }
            Self::Read(Source::Miss { reason, stored: false }) => format!("redis; fwd=miss; detail={reason}"),
            Self::Read(Source::Bypass) => "redis; fwd=bypass; detail=postgres-only".into(),
            Self::Written(CacheUpdate::Applied) => "redis; fwd=method; stored".into(),
            Self::Written(CacheUpdate::Pending) => "redis; fwd=method; detail=pending".into(),
            Self::Written(CacheUpdate::Deferred) => "redis; fwd=method; detail=deferred".into(),
        }
    }
}

impl Failure {
    pub(crate) fn into_answer(self) -> LambdaResponse {
        let body = json!({ "error": {
            "message": self.message, "type": self.kind(), "param": self.param, "code": self.code,
        }});
        let headers = [
            (RETRY_AFTER.as_str(), self.retry_after().map(|seconds| seconds.to_string())),
            ("x-should-retry", self.is_final().then(|| "false".to_owned())),
            ("cache-status", self.cache_status.map(CacheStatus::cache_status)),
            (ALLOW.as_str(), self.allow),
        ];
        respond(self.status.as_u16(), &body.to_string(), headers)
    }

    /// Says where the read that found nothing was answered from.
    #[must_use]
    pub fn read_from(self, source: Source) -> Self {
        Self { cache_status: Some(CacheStatus::Read(source)), ..self }
    }

    /// What telemetry records of it.
    pub(crate) fn outcome(&self) -> Outcome {
        // That a deployment moves the cache is expected: as an error it would take that deployment back.
        let is_error = self.status.is_server_error() && self.code != "cache_moving";
        let status = self.status.as_u16();
        Outcome { status, is_error, cache_status: self.cache_status, window_bytes: None }
    }
}

/// HTTP as API Gateway takes it from a function, in payload format 2.0.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LambdaResponse {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    /// A JSON string already: most of an answer is its body, and most of the work to make it a string.
    body: Box<RawValue>,
    is_base64_encoded: bool,
}

impl LambdaResponse {
    /// Says what the request is called in the log, for whoever reports of it.
    pub(crate) fn of_request(mut self, id: &str) -> Self {
        self.headers.insert("x-request-id", id.to_owned());
        self
    }
}

fn respond<const N: usize>(
    status_code: u16,
    body: &str,
    headers: [(&'static str, Option<String>); N],
) -> LambdaResponse {
    let always = [(CONTENT_TYPE.as_str(), "application/json"), (CACHE_CONTROL.as_str(), "no-store")];
    let always = always.map(|(name, value)| (name, value.to_owned()));
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
    // Whatever is escaped is a JSON string.
    let body = RawValue::from_string(json_escape_simd::escape(body)).unwrap_or_default();
    LambdaResponse {
        status_code,
        headers: always.into_iter().chain(headers).collect(),
        body,
        is_base64_encoded: false,
    }
}

/// What a list is made of.
trait Element {
    /// The element as it is answered.
    fn json(&self) -> &str;
}

impl Element for Message {
    fn json(&self) -> &str {
        self.json()
    }
}

impl Element for Item {
    fn json(&self) -> &str {
        self.json()
    }
}

/// Drops the messages that do not fit, from the end that is farthest from where the reading began.
fn fit<T: Element>(messages: &mut Vec<T>, forward: bool) -> bool {
    let mut room = BODY_BYTES - 1_024;
    // Escaping makes six bytes of one at the most: as a rule nothing has to be looked at byte by byte.
    if messages.iter().map(|message| 6 * message.json().len() + 1).sum::<usize>() <= room {
        return false;
    }
    let mut takes = |message: &T| {
        let size = enveloped(message.json()) + 1;
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    };
    let kept = if forward {
        messages.iter().take_while(|message| takes(message)).count()
    } else {
        messages.iter().rev().take_while(|message| takes(message)).count()
    };
    let cut = kept < messages.len();
    if forward {
        messages.truncate(kept);
    } else {
        messages.drain(..messages.len() - kept);
    }
    cut
}

/// How long text is as a JSON string, which is what the runtime makes of the body.
fn enveloped(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + escapes.sum::<usize>()
}

/// The list envelope around messages, with fields before and behind.
fn list<T: Element>(messages: &[T], head: &[(&str, Value)], tail: &[(&str, Value)]) -> String {
    let size: usize = messages.iter().map(|message| message.json().len() + 1).sum();
    let mut body = String::with_capacity(size + 512);
    body.push_str("{\"object\":\"list\"");
    for (name, value) in head {
        push_field(&mut body, name, value);
    }
    body.push_str(",\"data\":[");
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(message.json());
    }
    body.push(']');
    push_field(&mut body, "first_id", &id_of(messages.first()));
    push_field(&mut body, "last_id", &id_of(messages.last()));
    for (name, value) in tail {
        push_field(&mut body, name, value);
    }
    body.push('}');
    body
}

fn push_field(body: &mut String, name: &str, value: &Value) {
    body.push_str(",\"");
    body.push_str(name);
    body.push_str("\":");
    body.push_str(&value.to_string());
}

fn id_of<T: Element>(message: Option<&T>) -> Value {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    let id = message.and_then(|message| serde_json::from_str::<Identified<'_>>(message.json()).ok());
    id.map_or(Value::Null, |identified| identified.id.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_string_for_the_runtime_whatever_is_in_it() {
        let odd: String =
            (0..0x300).chain(0x2020..0x2040).chain([0xfeff, 0x1f600]).filter_map(char::from_u32).collect();
        for body in ["", "{}", "\"\\\n", &odd, &odd.repeat(9)] {
            let response = respond(200, body, [("cache-status", None), ("allow", Some("GET".into()))]);
            let answer = serde_json::to_value(&response).unwrap();
            assert_eq!(answer["body"], body);
            assert_eq!(
                answer["headers"],
                json!({ "allow": "GET", "cache-control": "no-store", "content-type": "application/json" })
            );
            assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)));
            assert!(response.body.get().len() <= enveloped(body) + 2, "no larger than was thought");
        }
    }
}
