//! The parts of a message's content.

use super::object::{Fields, Object, quoted};

/// Content as an array of parts, each under the name that items have for it.
pub(super) fn parts(content: Option<&str>, by_assistant: bool) -> Vec<String> {
    match content {
        Some(content) if content.starts_with('"') => vec![text_part(content, by_assistant)],
        Some(content) => {
            let parts: Vec<Fields<'_>> = serde_json::from_str(content).unwrap_or_default();
            parts.iter().map(|part| part.as_part(by_assistant)).collect()
        }
        None => Vec::new(),
    }
}

pub(super) fn array(parts: &[String]) -> String {
    format!("[{}]", parts.join(","))
}

/// A part that is text: a JSON string.
pub(super) fn text_part(text: &str, by_assistant: bool) -> String {
    let part = Object::new().with("type", text_type(by_assistant)).with("text", text);
    if by_assistant { part.with("annotations", "[]").close() } else { part.close() }
}

fn text_type(by_assistant: bool) -> &'static str {
    if by_assistant { "\"output_text\"" } else { "\"input_text\"" }
}

impl Fields<'_> {
    /// The part under the name that items have for it, with what they always have.
    pub(super) fn as_part(&self, by_assistant: bool) -> String {
        match self.text("type").as_deref() {
            Some("text" | "output_text") if by_assistant => self.as_output_text(),
            Some("text") => self.renamed(text_type(by_assistant)).close(),
            Some("image_url") => self.as_image(),
            Some("input_image") => self.with_detail(),
            Some("file") => self.as_file(),
            _ => self.without(&[]).close(),
        }
    }

    /// An image says in which detail it is to be looked at.
    fn with_detail(&self) -> String {
        if self.get("detail").is_some() {
            return self.without(&[]).close();
        }
        self.without(&["detail"]).with("detail", "\"auto\"").close()
    }

    fn renamed(&self, kind: &str) -> Object {
        let mut object = Object::new();
        for (key, value) in self.iter() {
            object.put(key, if *key == *"type" { kind } else { value });
        }
        object
    }

    fn as_output_text(&self) -> String {
        let part = self.renamed(text_type(true));
        if self.has("annotations") { part.close() } else { part.with("annotations", "[]").close() }
    }

    /// `{"type":"image_url","image_url":{"url":...,"detail":...}}`; some callers leave out the inner object.
    fn as_image(&self) -> String {
        let image = self.object("image_url");
        let url = image.as_ref().map_or_else(|| self.get("image_url"), |image| image.get("url"));
        let detail = image.as_ref().and_then(|image| image.get("detail")).or_else(|| self.get("detail"));
        Object::new()
            .with("type", "\"input_image\"")
            .with("image_url", url.unwrap_or("null"))
            .with("detail", detail.unwrap_or("\"auto\""))
            .with_others(image.iter().flat_map(|image| image.others(&["url", "detail", "type"])))
            .with_others(self.others(&["type", "image_url", "detail"]))
            .close()
    }

    /// `{"type":"file","file":{"file_id":...}}`.
    fn as_file(&self) -> String {
        let Some(file) = self.object("file") else { return self.renamed("\"input_file\"").close() };
        Object::new()
            .with("type", "\"input_file\"")
            .with_others(file.others(&["type"]))
            .with_others(self.others(&["type", "file"]))
            .close()
    }
}

/// Annotations of Chat Completions as those of an output text: what is nested under its own type there stands flat here.
pub(super) fn annotations(of: &Fields<'_>) -> Option<String> {
    let annotations = of.objects("annotations")?;
    let flat = annotations.iter().map(|annotation| {
        let kind = annotation.text("type").unwrap_or_default();
        match annotation.object(&kind) {
            Some(inner) => Object::new()
                .with("type", &quoted(&kind))
                .with_others(inner.others(&["type"]))
                .with_others(annotation.others(&["type", &kind]))
                .close(),
            None => annotation.without(&[]).close(),
        }
    });
    Some(array(&flat.collect::<Vec<_>>()))
}
