//! Who is calling. The owner comes from the authorizer or from a trusted caller, never from the body or the path.

use conversation_core::{IdentityConfig, OwnerId};
use http::HeaderValue;
use lambda_http::Request;

use super::event::Claims;
use super::failure::Failure;

/// The header in which a trusted caller names the owner.
const OWNER_HEADER: &str = "x-owner-id";

/// Names the owner of a request.
pub(crate) fn owner(request: &Request, claims: &Claims, config: &IdentityConfig) -> Result<OwnerId, Failure> {
    match config {
        IdentityConfig::Jwt { claim } => {
            let owner = claims.get(request, claim).ok_or_else(|| {
                Failure::unauthenticated("A verified token with the claim that names the owner is required.")
            })?;
            Ok(OwnerId::new(owner)?)
        }
        IdentityConfig::TrustedHeader { default_owner } => match only_owner(request)? {
            Some(owner) => Ok(OwnerId::new(String::from_utf8_lossy(owner.as_bytes()))
                .map_err(|invalid| conversation_core::Invalid { param: OWNER_HEADER.into(), ..invalid })?),
            None => default_owner
                .clone()
                .ok_or_else(|| Failure::unauthenticated("The header x-owner-id must name the owner.")),
        },
    }
}

/// The one owner that the header names. Front ends that pass on all values of a header differ in which comes first, so two
/// are nobody: a proxy may have appended the right one to what a client sent.
fn only_owner(request: &Request) -> Result<Option<&HeaderValue>, Failure> {
    let mut owners = request.headers().get_all(OWNER_HEADER).iter();
    let first = owners.next();
    if owners.any(|other| Some(other) != first) {
        return Err(Failure::unauthenticated("The header x-owner-id must name one owner."));
    }
    Ok(first)
}
