//! Lists an owner's conversations. It has no way to the cache.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{Directory, Limit, Source};
use conversation_functions::{Call, Failure, Reply, open_directory, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_directory, list).await
}

async fn list(directory: Arc<Directory>, mut call: Call) -> Result<Reply, Failure> {
    let (owner, mut limit) = (call.owner()?, call.limit(Limit::LIST)?);
    let ((order, cursor), metadata) = (call.cursor(&owner)?, call.metadata()?);
    loop {
        let listing = directory.list(&owner, &metadata, order, cursor.as_ref(), limit).await;
        let listing = listing.map_err(Failure::about(None))?;
        if let Some(reply) = Reply::listing(&listing, &owner) {
            return Ok(reply.read_from(Source::Bypass));
        }
        // A hundred conversations fit, unless all their metadata is as long as may be and made of control characters.
        limit = limit.half();
    }
}
