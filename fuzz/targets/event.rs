//! An event as API Gateway sends it: whatever is in it, it is read or refused.
#![no_main]

use conversation_core::{IdentityConfig, Limit, OwnerId};
use conversation_functions::Call;
use lambda_http::request::LambdaRequest;
use libfuzzer_sys::fuzz_target;

/// Whether a gateway may send it: lambda_http panics where a request has no URI.
fn is_sent(bytes: &[u8]) -> bool {
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(bytes) else { return false };
    let text = |pointer: &str| event.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default();
    let headers = event["headers"].as_object();
    let names_a_host = |name: &String| ["host", "x-forwarded-proto"].contains(&name.to_ascii_lowercase().as_str());
    text("/rawPath").starts_with('/')
        && text("/rawQueryString").bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%=&+".contains(&b))
        && text("/requestContext/domainName") == "d"
        && !headers.is_some_and(|headers| headers.keys().any(names_a_host))
}

fuzz_target!(|bytes: &[u8]| {
    if !is_sent(bytes) {
        return;
    }
    for identity in [
        IdentityConfig::Jwt { claim: "sub".into() },
        IdentityConfig::TrustedHeader { default_owner: OwnerId::new("local").ok() },
    ] {
        let Ok(event) = serde_json::from_slice::<LambdaRequest>(bytes) else { return };
        let Ok(mut call) = Call::read(event.into(), &identity) else { continue };
        let _ = (call.limit(Limit::MAX).is_ok(), call.min_version().is_ok(), call.range().is_ok());
        let _ = (call.items().is_ok(), call.message_id().is_ok());
        let _ = (call.new_conversation().is_ok(), call.batch().is_ok(), call.item_batch().is_ok(), call.change().is_ok());
        if let Ok(owner) = OwnerId::new("ann") {
            let _ = call.cursor(&owner).is_ok();
        }
        let _ = call.key().is_ok();
    }
});
