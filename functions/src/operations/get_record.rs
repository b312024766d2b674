//! Reads a record: its bytes as they were sent.

use conversation_core::{ConversationIndex, Record, Source};

use super::write_records::about;
use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (scope, key) = (request.record_scope()?, request.record_key()?);
    let known = request.known_revisions();
    // Of what the caller has, and of what HEAD leaves out, the value is not read.
    let without_value = if request.is_head() { vec![-1] } else { known.clone() };
    let found = index.record(&scope, &key, &without_value).await.map_err(about(&scope))?;
    let Record { revision, content_type, value, .. } =
        found.ok_or_else(|| Failure::no_record(key.as_str()).read_from(Source::Bypass))?;
    if known.iter().any(|known| [-1, revision].contains(known)) {
        return Ok(ApiResponse::unchanged(revision).read_from(Source::Bypass));
    }
    let response = ApiResponse::value(value.unwrap_or_default(), content_type.as_str());
    if response.sent_bytes() > request.value_bytes() {
        return Err(Failure::value_too_large(request.value_bytes()));
    }
    Ok(response.at_version(revision).read_from(Source::Bypass))
}
