//! API Gateway's authorizer, which runs before a function is invoked.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// Routes that need no token, as in the template.
const PUBLIC: &[&str] = &["GET /v1/health"];

/// The rule about who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorizer {
    /// Everybody.
    Open,
    /// Callers with a JSON Web Token. On this machine nobody signs: any well-formed token is accepted, and its claims are
    /// handed on as API Gateway does.
    Jwt,
}

/// The caller has no token.
#[derive(Debug)]
pub(crate) struct Unauthorized;

impl Authorizer {
    /// Returns what the event says about the caller.
    pub(crate) fn authorize(self, route: &str, headers: &HeaderMap) -> Result<Option<Value>, Unauthorized> {
        if self == Self::Open || PUBLIC.contains(&route) {
            return Ok(None);
        }
        let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let claims = token.and_then(claims).ok_or(Unauthorized)?;
        Ok(Some(json!({ "jwt": { "claims": claims, "scopes": null } })))
    }
}

/// Returns the claims of a token as strings; `Bearer` may stand before it.
fn claims(token: &str) -> Option<Map<String, Value>> {
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
    Some(claims.into_iter().map(|(name, value)| (name, spelled(&value).into())).collect())
}

/// Spells a claim as API Gateway does: lists in brackets, without commas.
fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(spelled).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_come_as_strings() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"sub":"ann","exp":1900000000,"groups":["a","b"]}"#);
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer e30.{payload}.x").parse().unwrap());
        let said = Authorizer::Jwt.authorize("GET /v1/conversations", &headers).unwrap().unwrap();
        let claims = json!({ "sub": "ann", "exp": "1900000000", "groups": "[a b]" });
        assert_eq!(said["jwt"]["claims"], claims);
        for bad in ["", "Bearer", "Bearer x", "Bearer a.b.c", "Basic YTpi"] {
            headers.insert(header::AUTHORIZATION, bad.parse().unwrap());
            assert!(Authorizer::Jwt.authorize("$default", &headers).is_err(), "{bad}");
            assert!(Authorizer::Jwt.authorize("GET /v1/health", &headers).is_ok());
            assert!(Authorizer::Open.authorize("$default", &headers).is_ok());
        }
    }
}
