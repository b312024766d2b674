//! Answers a page of everything that the caller has, as lines that `import` takes.

use conversation_core::{ConversationIndex, ExportCursor, ExportPage, Source};

use crate::http::{ApiRequest, ApiResponse, Failure, enveloped};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let owner = request.owner()?;
    let after = request.query("after")?.map(ExportCursor::decode).transpose()?;
    let budget = request.answer_bytes() - 1_024;
    let page = index.export_page(&owner, after.as_ref(), budget, enveloped).await;
    let ExportPage { lines, next } = page.map_err(Failure::about(None))?;
    Ok(ApiResponse::lines(lines, next.as_ref()).read_from(Source::Bypass))
}
