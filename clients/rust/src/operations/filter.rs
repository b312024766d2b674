//! Which conversations are listed or deleted.

use crate::models::conversation::Archived;
use crate::request::Request;

/// The parameters by which conversations are found.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) metadata: Vec<(String, String)>,
    pub(super) forked_from: Option<String>,
    pub(super) archived: Option<Archived>,
}

impl Filter {
    /// Adds them to a request.
    pub(super) fn add(&self, request: Request) -> Request {
        let filtered = self
            .metadata
            .iter()
            .fold(request, |request, (name, value)| request.query(&format!("metadata[{name}]"), value));
        filtered.query_if("forked_from", self.forked_from.as_ref()).query_if("archived", self.archived)
    }
}
