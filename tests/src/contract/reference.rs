//! `docs/api.md`: the contract for people.

use std::fmt::Write as _;
use std::path::PathBuf;

use conversation_local::workspace;

use super::{Contract, Mismatch, Node, Operation};

const TOP: &str =
    "<!-- Made from infra/openapi.yaml by `make reference`. Change that. -->\n\n# The HTTP API\n\n";

impl Contract {
    fn reference_file() -> PathBuf {
        workspace().join("docs/api.md")
    }

    /// Writes the reference page.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_reference(&self) -> Result<(), Mismatch> {
        Ok(std::fs::write(Self::reference_file(), self.reference())?)
    }

    pub(super) fn check_reference(&self) -> Result<(), Mismatch> {
        let written = std::fs::read_to_string(Self::reference_file()).unwrap_or_default();
        if written == self.reference() {
            return Ok(());
        }
        Err("docs/api.md is not what infra/openapi.yaml says: run make reference".into())
    }

    /// The reference page, in Markdown.
    pub fn reference(&self) -> String {
        let mut page = String::from(TOP);
        page.push_str(&prose(self.document.get("info").get("description")));
        page.push_str("\n| | |\n|---|---|\n");
        for operation in self.operations() {
            let summary = label(operation.node.get("summary"));
            add(&mut page, format_args!("| [{summary}](#{}) | `{}` |\n", anchor(summary), route(operation)));
        }
        for tag in self.document.get("tags").items() {
            let name = label(tag.get("name"));
            add(&mut page, format_args!("\n## {name}\n\n{}", prose(tag.get("description"))));
            let tagged = |operation: &Operation<'_>| {
                operation.node.get("tags").items().any(|tag| tag.text() == Some(name))
            };
            for operation in self.operations().filter(tagged) {
                page.push_str(&self.section(operation));
            }
        }
        page.push_str("\n## Schemas\n");
        for (name, schema) in self.document.get("components").get("schemas").entries() {
            add(&mut page, format_args!("\n### {name}\n\n{}", schema_section(schema)));
        }
        page
    }

    fn section(&self, operation: Operation<'_>) -> String {
        let node = operation.node;
        let mut page = format!("\n### {}\n\n`{}`\n", label(node.get("summary")), route(operation));
        if !node.get("description").is_null() {
            add(&mut page, format_args!("\n{}", prose(node.get("description"))));
        }
        page.push_str(&self.parameter_table(operation));
        let body = self.resolve(node.get("requestBody")).get("content").get("application/json");
        if !body.is_null() {
            add(&mut page, format_args!("\nBody: {}.\n", kind(body.get("schema"))));
        }
        for (_, example) in body.get("examples").entries() {
            if let Some(summary) = example.get("summary").text() {
                add(&mut page, format_args!("\n{summary}:\n"));
            }
            page.push_str(&block(example.get("value")));
        }
        page + &self.answers(operation)
    }

    fn parameter_table(&self, operation: Operation<'_>) -> String {
        let mut rows = String::new();
        for parameter in self.parameters(operation) {
            let (name, place) = (label(parameter.get("name")), label(parameter.get("in")));
            let (kind, description) = (kind(parameter.get("schema")), line(parameter.get("description")));
            add(&mut rows, format_args!("| `{name}` | {place} | {kind} | {description} |\n"));
        }
        if rows.is_empty() {
            return rows;
        }
        format!("\n| parameter | in | type | |\n|---|---|---|---|\n{rows}")
    }

    fn answers(&self, operation: Operation<'_>) -> String {
        let mut page = String::from("\n| status | | |\n|---|---|---|\n");
        let mut shown = &Node::Null;
        for (status, response) in self.responses(operation) {
            let content = response.get("content").get("application/json");
            let codes: Vec<_> = content.get("examples").entries().map(|(_, example)| code(example)).collect();
            let details =
                if codes.is_empty() { kind(content.get("schema")) } else { unique(codes).join(", ") };
            let description = line(response.get("description"));
            add(&mut page, format_args!("| {status} | {description} | {details} |\n"));
            if status.starts_with('2') {
                shown = content.get("example");
            }
        }
        page + &self.headers(operation) + &block(shown)
    }

    /// The headers that answers have beside those that all have, each once.
    fn headers(&self, operation: Operation<'_>) -> String {
        let mut rows = Vec::new();
        for (_, response) in self.responses(operation) {
            for (name, header) in response.get("headers").entries() {
                rows.push(format!("- `{name}`: {}\n", line(self.resolve(header).get("description"))));
            }
        }
        let rows = unique(rows).concat();
        if rows.is_empty() { rows } else { format!("\n{rows}") }
    }
}

fn route(operation: Operation<'_>) -> String {
    format!("{} {}", operation.method.to_uppercase(), operation.path)
}

/// The code that an error's example has.
fn code(example: &Node) -> String {
    format!("`{}`", label(example.get("value").get("error").get("code")))
}

/// What a schema is, in a section of its own.
fn schema_section(schema: &Node) -> String {
    let mut page = String::new();
    if !schema.get("description").is_null() {
        page = prose(schema.get("description"));
    }
    let choices = ["anyOf", "allOf"].into_iter().flat_map(|key| schema.get(key).items());
    // Choices without a name are conditions, which the description has in words.
    let named: Vec<_> = choices.filter(|choice| !choice.get("$ref").is_null()).map(kind).collect();
    if !named.is_empty() && !schema.get("properties").is_null() {
        add(&mut page, format_args!("\n{}.\n", named.join(" or ")));
    }
    let mut rows = String::new();
    for (name, property) in schema.get("properties").entries() {
        let needed = schema.get("required").items().any(|required| required.text() == Some(name));
        let (kind, description) = (kind(property), line(property.get("description")));
        let needed = if needed { "yes" } else { "" };
        add(&mut rows, format_args!("| `{name}` | {kind} | {needed} | {description} |\n"));
    }
    if !rows.is_empty() {
        add(&mut page, format_args!("\n| field | type | required | |\n|---|---|---|---|\n{rows}"));
    } else {
        add(&mut page, format_args!("\n{}.\n", kind(schema)));
    }
    page.trim_start().to_owned()
}

/// What values a schema takes, in a few words.
fn kind(schema: &Node) -> String {
    if let Some(name) = schema.get("$ref").text().and_then(|name| name.rsplit('/').next()) {
        return format!("[{name}](#{})", anchor(name));
    }
    if *schema == Node::Bool(false) {
        return "not allowed".into();
    }
    if !schema.get("const").is_null() {
        return format!("`{}`", plain(schema.get("const")));
    }
    let values = |key| schema.get(key).items().map(|value| format!("`{}`", plain(value)));
    if !schema.get("enum").is_null() {
        return values("enum").collect::<Vec<_>>().join(", ") + &bounds(schema);
    }
    if schema.get("type").is_null() {
        let choices = ["anyOf", "allOf"].into_iter().flat_map(|key| schema.get(key).items());
        let choices: Vec<_> = choices.filter(|choice| choice.get("properties").is_null()).map(kind).collect();
        return choices.join(" or ");
    }
    let types = match schema.get("type") {
        Node::List(types) => types.iter().map(plain).collect::<Vec<_>>().join(" or "),
        one => plain(one),
    };
    let items = schema.get("items");
    let of = if items.is_null() { String::new() } else { format!(" of {}", kind(items)) };
    types.replacen("array", &format!("array{of}"), 1) + &bounds(schema)
}

/// The limits of a schema.
fn bounds(schema: &Node) -> String {
    let mut all = String::new();
    for (key, words, unit) in [
        ("minimum", "from", ""),
        ("maximum", "to", ""),
        ("minItems", "at least", ""),
        ("maxItems", "at most", ""),
        ("minLength", "at least", ""),
        ("maxLength", "at most", " characters"),
        ("maxProperties", "at most", " pairs"),
        ("default", "usually", ""),
    ] {
        let bound = schema.get(key);
        // The largest number there is says nothing.
        if !bound.is_null() && *bound != Node::Integer(i64::MAX) {
            add(&mut all, format_args!(", {words} {}{unit}", plain(bound)));
        }
    }
    all
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = page.write_fmt(text);
}

fn label(node: &Node) -> &str {
    node.text().unwrap_or_default()
}

fn plain(node: &Node) -> String {
    node.text().map_or_else(|| node.json().to_string(), str::to_owned)
}

/// Text that stands by itself.
fn prose(node: &Node) -> String {
    format!("{}\n", label(node).trim())
}

/// Text in a table.
fn line(node: &Node) -> String {
    label(node).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn block(example: &Node) -> String {
    // Every part of it has a JSON form.
    let json = serde_json::to_string_pretty(example).unwrap_or_default();
    format!("\n```json\n{json}\n```\n")
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}

fn unique(texts: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    texts.into_iter().filter(|text| seen.insert(text.clone())).collect()
}
