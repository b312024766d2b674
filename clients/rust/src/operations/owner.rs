//! Everything that the caller has: how much it is, its export, its erasure.

use hyper::Method;
use serde::Deserialize;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::owner::{ExportPage, OwnerData, OwnerErasure};
use crate::operation::{Operation, Paged};
use crate::request::Request;
use crate::response::Response;

const OWNER: &str = "/v1/owner";

/// [`Client::owner`].
#[derive(Debug)]
pub struct GetOwner;

/// [`Client::delete_owner`].
#[derive(Debug)]
pub struct DeleteOwner;

/// [`Client::export_owner`].
#[derive(Clone, Debug, Default)]
pub struct ExportOwner {
    after: Option<String>,
}

impl Client {
    /// Reads how much the caller has, and how far its last erasure has come.
    pub fn owner(&self) -> Call<GetOwner> {
        self.call(GetOwner)
    }

    /// Erases everything that the caller has: when it is answered, nobody can read any of it. The store removes it afterwards, as
    /// [`owner`](Client::owner) says. Ids of its conversations are not used again.
    pub fn delete_owner(&self) -> Call<DeleteOwner> {
        self.call(DeleteOwner)
    }

    /// Exports everything that the caller has, as lines that `conversation-store import` takes. [`pages`](Call::pages) reads all of it;
    /// each page can be imported by itself.
    pub fn export_owner(&self) -> Call<ExportOwner> {
        self.call(ExportOwner::default())
    }
}

impl Call<ExportOwner> {
    /// Exports what follows a page, whose `after` this is.
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.operation.after = Some(cursor.into());
        self
    }
}

impl Operation for GetOwner {
    type Output = OwnerData;

    fn request(&self) -> Result<Request, Error> {
        Ok(Request::new(Method::GET, OWNER))
    }

    fn read(&self, response: &Response) -> Result<OwnerData, Error> {
        response.json().map_err(Error::unexpected)
    }
}

/// What an erasure answers.
#[derive(Deserialize)]
struct OwnerDeleted {
    erasure: OwnerErasure,
}

impl Operation for DeleteOwner {
    type Output = OwnerErasure;

    fn request(&self) -> Result<Request, Error> {
        Ok(Request::new(Method::DELETE, OWNER))
    }

    fn read(&self, response: &Response) -> Result<OwnerErasure, Error> {
        response.json().map(|deleted: OwnerDeleted| deleted.erasure).map_err(Error::unexpected)
    }
}

impl Operation for ExportOwner {
    type Output = ExportPage;

    fn request(&self) -> Result<Request, Error> {
        Ok(Request::new(Method::GET, format!("{OWNER}/export")).query_if("after", self.after.as_ref()))
    }

    fn read(&self, response: &Response) -> Result<ExportPage, Error> {
        let text = std::str::from_utf8(&response.body).map_err(Error::unexpected)?.to_owned();
        let after = response.header("link").and_then(next_cursor).map(str::to_owned);
        Ok(ExportPage { text, after })
    }
}

impl Paged for ExportOwner {
    fn following(&self, page: &ExportPage) -> Option<Self> {
        Some(Self { after: Some(page.after.clone()?) })
    }
}

/// The cursor in a header like `<?after=abc>; rel="next"`.
fn next_cursor(link: &str) -> Option<&str> {
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    let (_, cursor) = target.split_once("?after=")?;
    relation.contains("next").then_some(cursor)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::HeaderMap;
    use hyper::header::LINK;
    use serde_json::json;

    use super::*;

    fn answer(body: &str, link: Option<&'static str>) -> Response {
        let headers = HeaderMap::from_iter(link.map(|link| (LINK, link.parse().unwrap())));
        Response { status: 200, headers, body: body.to_owned().into(), took: Duration::ZERO }
    }

    #[test]
    fn pages_of_an_export_follow_their_links() {
        let target = |operation: &ExportOwner| operation.request().unwrap().target;
        let first = ExportOwner::default();
        assert_eq!(target(&first), "/v1/owner/export");
        let text = "{\"record\":\"owner\"}\n{\"body\":\"a\u{2028}b\"}\n";
        let page = first.read(&answer(text, Some("<?after=eyJtIjoi-_1>; rel=\"next\""))).unwrap();
        assert_eq!((page.text.as_str(), page.after.as_deref()), (text, Some("eyJtIjoi-_1")));
        assert_eq!(page.lines().collect::<Vec<_>>(), ["{\"record\":\"owner\"}", "{\"body\":\"a\u{2028}b\"}"]);
        let second = first.following(&page).unwrap();
        assert_eq!(target(&second), "/v1/owner/export?after=eyJtIjoi-_1");
        for link in [None, Some("<?after=a>; rel=\"prev\""), Some("?")] {
            let last = second.read(&answer("", link)).unwrap();
            assert!(last.lines().next().is_none() && second.following(&last).is_none(), "{link:?}");
        }
    }

    #[test]
    fn an_erasure_is_read_from_either_answer() {
        let erasure = json!({
            "object": "owner.erasure", "id": "erasure_1", "owner_hash": "0a", "shard": 7, "requested_by": "owner",
            "requested_at": 5, "hidden_at": 6, "completed_at": null, "conversations": 4, "messages": 0, "records": 0,
            "remaining": 5, "new_field": 1,
        });
        let deleted = json!({ "object": "owner.deleted", "deleted": true, "erasure": erasure });
        let receipt = DeleteOwner.read(&answer(&deleted.to_string(), None)).unwrap();
        assert_eq!((receipt.hidden_at, receipt.completed_at, receipt.remaining), (Some(6), None, 5));
        for (erasure, expected) in [(json!(null), None), (erasure, Some(receipt))] {
            let owner = json!({
                "object": "owner", "conversations": 3, "messages": 6, "records": 4, "bytes": 1234, "erasure": erasure,
            });
            let owner = GetOwner.read(&answer(&owner.to_string(), None)).unwrap();
            assert_eq!((owner.bytes, owner.erasure), (1_234, expected));
        }
    }
}
