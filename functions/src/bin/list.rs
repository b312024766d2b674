//! Lists an owner's conversations. It has no way to the cache.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{ConversationIndex, Limit, Source};
use conversation_functions::{ApiRequest, ApiResponse, Failure, open_index, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_index, list).await
}

async fn list(index: Arc<ConversationIndex>, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    let (owner, mut limit) = (request.owner()?, request.limit(Limit::LIST)?);
    let ((order, cursor), metadata) = (request.cursor(&owner)?, request.metadata()?);
    loop {
        let listing = index.list(&owner, &metadata, order, cursor.as_ref(), limit).await;
        let listing = listing.map_err(Failure::about(None))?;
        if let Some(reply) = ApiResponse::listing(&listing, &owner) {
            return Ok(reply.read_from(Source::Bypass));
        }
        // A hundred conversations fit, unless all their metadata is as long as may be and made of control characters.
        limit = limit.half();
    }
}
