//! Lists records.

use conversation_core::{ConversationIndex, Order, Page, Problem, Record, RecordLimit, RecordQuery, Source};
use serde_json::Value;

use super::write_records::about;
use crate::http::{ApiRequest, ApiResponse, Failure, enveloped, key_of_query, record_json};

/// The most keys and prefixes of one request.
const SELECTORS: usize = 1_000;

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (scope, query) = (request.record_scope()?, request.record_query()?);
    let page = index.records(&scope, &query).await.map_err(about(&scope))?;
    let body = list(page, request.answer_bytes(), request.value_bytes())?;
    Ok(ApiResponse::new(body).read_from(Source::Bypass))
}

impl ApiRequest {
    /// Which records are to be listed.
    ///
    /// # Errors
    /// A parameter breaks a rule.
    pub fn record_query(&self) -> Result<RecordQuery, Failure> {
        let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
        for (name, value) in self.query_pairs() {
            match name {
                "key" => keys.push(key_of_query(value, "key")?),
                "prefix" if value.contains('\0') => return Err(Problem::HasNul.of("prefix").into()),
                "prefix" => prefixes.push(value.to_owned()),
                _ => {}
            }
        }
        if keys.len() + prefixes.len() > SELECTORS {
            let message = format!("A request names {SELECTORS} keys and prefixes at the most.");
            return Err(Failure::bad_param("key", message));
        }
        if keys.is_empty() && prefixes.is_empty() {
            prefixes.push(String::new());
        }
        let after = self.query("after")?;
        if after.is_some_and(|after| after.contains('\0')) {
            return Err(Problem::HasNul.of("after").into());
        }
        let order = match self.query("order")? {
            None => Order::Ascending,
            Some(_) => self.order()?,
        };
        let with_values = match self.query("values")? {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Failure::bad_param("values", "values must be true or false.")),
        };
        let limit = match self.query("limit")? {
            None => RecordLimit::USUAL,
            // Whatever is no number is out of range.
            Some(text) => RecordLimit::new(text.parse().unwrap_or(0))?,
        };
        Ok(RecordQuery {
            keys,
            prefixes,
            after: after.map(str::to_owned),
            order,
            limit,
            value_bytes: with_values.then(|| self.answer_bytes()),
        })
    }
}

/// As many records as fit into an answer, but at least one: the first may be as large as a value by itself.
///
/// # Errors
/// The first record is larger still.
fn list(page: Page<Record>, answer_bytes: usize, value_bytes: usize) -> Result<String, Failure> {
    let mut room = answer_bytes - 1_024;
    let (mut data, mut ends, mut has_more) = (String::new(), None::<(String, String)>, page.has_more);
    for record in page.items {
        let key = record.key.as_str().to_owned();
        let mut json = record_json(&record, false).to_string();
        if ends.is_none() && enveloped(&json) > value_bytes {
            json = record_json(&record, true).to_string();
            if enveloped(&json) > value_bytes {
                return Err(Failure::value_too_large(value_bytes));
            }
        }
        let size = enveloped(&json) + 1;
        if size > room && ends.is_some() {
            has_more = true;
            break;
        }
        room = room.saturating_sub(size);
        if ends.is_some() {
            data.push(',');
        }
        data.push_str(&json);
        ends = Some((ends.map_or_else(|| key.clone(), |(first, _)| first), key));
    }
    let (first, last) = ends.unzip();
    let (first, last) = (Value::from(first), Value::from(last));
    Ok(format!(
        r#"{{"object":"list","data":[{data}],"first_id":{first},"last_id":{last},"has_more":{has_more}}}"#
    ))
}
