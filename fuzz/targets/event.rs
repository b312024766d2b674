//! An event as a front end sends it: whatever is in it, it is read or refused.
#![no_main]

use conversation_core::{IdentityConfig, Limit, OwnerId};
use conversation_functions::{ApiRequest, HttpEvent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for identity in [
        IdentityConfig::Jwt { claim: "sub".into() },
        IdentityConfig::TrustedHeader { default_owner: OwnerId::new("local").ok() },
    ] {
        let Ok(event) = serde_json::from_slice::<HttpEvent>(bytes) else { return };
        let Ok(mut request) = ApiRequest::read(event, &identity) else { continue };
        let _ = (request.limit(Limit::MAX).is_ok(), request.min_version().is_ok(), request.range().is_ok());
        let _ = (request.items().is_ok(), request.item_id().is_ok());
        let _ = (
            request.new_conversation().is_ok(),
            request.batch().is_ok(),
            request.new_items().is_ok(),
            request.change().is_ok(),
        );
        if let Ok(owner) = OwnerId::new("ann") {
            let _ = request.cursor(&owner).is_ok();
        }
        let _ = request.key().is_ok();
    }
});
