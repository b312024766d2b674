//! Messages of the AI SDK (`UIMessage`): text, reasoning, and tools with what they returned stand in one message, in parts.
//! <https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message>

use super::chat::as_string;
use super::draft::Draft;
use super::object::{COMPLETED, Fields, Object, quoted};
use super::part::{array, text_part};

/// Whether a message is one of these: its content stands in `parts`. In version 4 its text stands in `content` as well.
pub(super) fn is_ui(message: &Fields<'_>) -> bool {
    let is_text = message.get("content").is_none_or(|content| content.starts_with('"'));
    is_text
        && message.objects("parts").is_some_and(|parts| parts.iter().all(|part| part.text("type").is_some()))
}

/// A message as items, in order: at least one. A part that items have no word for is a part of a message.
pub(super) fn items(message: &Fields<'_>, role: &str) -> Vec<Draft> {
    let mut items = Items { role, content: Vec::new(), done: Vec::new() };
    let parts = message.objects("parts").unwrap_or_default();
    let says = |part: &Fields<'_>| part.text("type").as_deref() == Some("text");
    if let Some(content) = message.some("content").filter(|_| !parts.iter().any(says)) {
        items.content.push(text_part(content, items.by_assistant()));
    }
    for part in &parts {
        items.take(part);
    }
    items.speak();
    if items.done.is_empty() {
        items.done.push(items.message(&[]));
    }
    let others = ["id", "seq", "created_at", "type", "status", "role", "content", "parts"];
    let others =
        message.others(&others).filter(|(key, _)| !items.done[0].has(&key.lossy())).collect::<Vec<_>>();
    items.done[0].add(others.into_iter());
    items.done
}

/// The items so far, and the parts of the message that comes next.
struct Items<'a> {
    role: &'a str,
    content: Vec<String>,
    done: Vec<Draft>,
}

impl Items<'_> {
    fn take(&mut self, part: &Fields<'_>) {
        let kind = part.text("type").unwrap_or_default();
        match kind.as_str() {
            "text" => self.content.push(self.text(part)),
            "file" => self.content.push(file(part)),
            "step-start" => {}
            "reasoning" => {
                self.speak();
                self.done.push(reasoning(part));
            }
            "source-url" if self.cite(part).is_some() => {}
            "tool-invocation" if part.object("toolInvocation").is_some() => {
                self.speak();
                self.invocation(part);
            }
            kind if part.get("toolCallId").is_some()
                && (kind == "dynamic-tool" || kind.starts_with("tool-")) =>
            {
                self.speak();
                self.call(part, kind);
            }
            _ => self.content.push(part.without(&[]).close()),
        }
    }

    fn by_assistant(&self) -> bool {
        self.role == "assistant"
    }

    fn text(&self, part: &Fields<'_>) -> String {
        let text = text_part(part.get("text").unwrap_or("\"\""), self.by_assistant());
        let fields = Fields::parse(&text).unwrap_or_default();
        fields.without(&[]).with_others(part.others(&["type", "text", "annotations"])).close()
    }

    /// A source is an annotation of the text before it.
    fn cite(&mut self, part: &Fields<'_>) -> Option<()> {
        let text = self.content.last_mut().filter(|text| text.starts_with("{\"type\":\"output_text\""))?;
        let fields = Fields::parse(text)?;
        let mut annotations: Vec<String> =
            fields.elements("annotations")?.iter().map(|one| one.get().to_owned()).collect();
        let citation = Object::new()
            .with("type", "\"url_citation\"")
            .with("url", part.get("url")?)
            .with("title", part.get("title").unwrap_or("\"\""))
            .with("start_index", "0")
            .with("end_index", "0");
        annotations.push(citation.with_others(part.others(&["type", "url", "title"])).close());
        let cited = fields.without(&["annotations"]).with("annotations", &array(&annotations)).close();
        *text = cited;
        Some(())
    }

    fn message(&self, content: &[String]) -> Draft {
        let object = Object::new()
            .with("status", COMPLETED)
            .with("role", &quoted(self.role))
            .with("content", &array(content));
        Draft::new("message", object)
    }

    /// Ends the message that has parts.
    fn speak(&mut self) {
        if !self.content.is_empty() {
            let content = std::mem::take(&mut self.content);
            self.done.push(self.message(&content));
        }
    }

    /// A call as version 4 has it, under the names of the later ones.
    fn invocation(&mut self, part: &Fields<'_>) {
        let invocation = part.object("toolInvocation").unwrap_or_default();
        let state = match invocation.text("state").as_deref() {
            Some("result") => "output-available",
            Some("partial-call") => "input-streaming",
            _ => "input-available",
        };
        let renamed = Object::new()
            .with("state", &quoted(state))
            .with("toolCallId", invocation.get("toolCallId").unwrap_or("null"))
            .with("toolName", invocation.get("toolName").unwrap_or("\"\""))
            .with("input", invocation.get("args").unwrap_or("{}"))
            .with("output", invocation.get("result").unwrap_or("\"\""))
            .with_others(invocation.others(&["state", "toolCallId", "toolName", "args", "result"]))
            .with_others(part.others(&["type", "toolInvocation"]))
            .close();
        self.call(&Fields::parse(&renamed).unwrap_or_default(), "dynamic-tool");
    }

    /// A call, and what it returned as far as it has.
    fn call(&mut self, part: &Fields<'_>, kind: &str) {
        let id = part.get("toolCallId").unwrap_or("null");
        let name = kind.strip_prefix("tool-").map(quoted).or_else(|| part.get("toolName").map(str::to_owned));
        let input = part
            .get("input")
            .or_else(|| part.get("rawInput"))
            .map_or_else(|| "\"{}\"".to_owned(), as_arguments);
        let state = part.text("state").unwrap_or_default();
        let approval = part.object("approval").unwrap_or_default();
        let returned = match state.as_str() {
            "output-error" => Some(part.get("errorText").unwrap_or("\"\"")),
            "output-available" => Some(part.get("output").unwrap_or("\"\"")),
            // Of a call that nobody answers a model refuses the history.
            "output-denied" => Some(approval.get("reason").unwrap_or("\"Tool execution denied.\"")),
            _ => None,
        };
        let status = if state == "input-streaming" { "\"in_progress\"" } else { COMPLETED };
        let object = Object::new()
            .with("call_id", id)
            .with("name", &name.unwrap_or_else(|| "\"\"".to_owned()))
            .with("arguments", &input)
            .with("status", status);
        let said = ["type", "toolCallId", "toolName", "input", "rawInput", "state", "output", "errorText"];
        self.done.push(Draft::new("function_call", object.with_others(part.others(&said))));
        if let Some(returned) = returned {
            let output = Object::new()
                .with("call_id", id)
                .with("output", &as_string(returned))
                .with("status", if state == "output-available" { COMPLETED } else { "\"incomplete\"" });
            self.done.push(Draft::new("function_call_output", output));
        }
    }
}

/// The JSON of an input, as a string, also of one that is a string.
fn as_arguments(input: &str) -> String {
    quoted(input)
}

fn reasoning(part: &Fields<'_>) -> Draft {
    let text =
        Object::new().with("type", "\"reasoning_text\"").with("text", part.get("text").unwrap_or("\"\""));
    let object = Object::new()
        .with("summary", "[]")
        .with("content", &array(&[text.close()]))
        .with("status", COMPLETED)
        .with_others(part.others(&["type", "text"]));
    Draft::new("reasoning", object)
}

/// A file at a URL, which may hold all of it.
fn file(part: &Fields<'_>) -> String {
    let url = part.get("url").unwrap_or("null");
    let media_type = part.text("mediaType").unwrap_or_default();
    let others = part.others(&["type", "url", "mediaType"]);
    if media_type.starts_with("image/") {
        let image =
            Object::new().with("type", "\"input_image\"").with("image_url", url).with("detail", "\"auto\"");
        return image.with_others(others).close();
    }
    let place = if url.starts_with("\"data:") { "file_data" } else { "file_url" };
    Object::new().with("type", "\"input_file\"").with(place, url).with_others(others).close()
}
