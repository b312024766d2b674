//! An event as API Gateway sends it: whatever is in it, it is read or refused.
#![no_main]

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use conversation_core::{IdentityConfig, Limit, OwnerId};
use conversation_functions::ApiRequest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for identity in [
        IdentityConfig::Jwt { claim: "sub".into() },
        IdentityConfig::TrustedHeader { default_owner: OwnerId::new("local").ok() },
    ] {
        let Ok(event) = serde_json::from_slice::<ApiGatewayV2httpRequest>(bytes) else { return };
        let Ok(mut call) = ApiRequest::read(event, &identity) else { continue };
        let _ = (call.limit(Limit::MAX).is_ok(), call.min_version().is_ok(), call.range().is_ok());
        let _ = (call.items().is_ok(), call.message_id().is_ok());
        let _ = (
            call.new_conversation().is_ok(),
            call.batch().is_ok(),
            call.item_batch().is_ok(),
            call.change().is_ok(),
        );
        if let Ok(owner) = OwnerId::new("ann") {
            let _ = call.cursor(&owner).is_ok();
        }
        let _ = call.key().is_ok();
    }
});
