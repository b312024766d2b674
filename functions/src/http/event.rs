//! Events of the front ends of Lambda: an HTTP API, a REST API, a load balancer, a function URL, and the others that
//! `lambda_http` knows.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HOST;
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayProxyRequest, ApiGatewayRequestAuthorizer, ApiGatewayV2httpRequest,
};
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Body, Request, RequestExt as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;

/// A request as Lambda hands it to a function.
pub struct HttpEvent {
    /// Boxed, since it is some kilobytes large and is handed on by value.
    request: Box<LambdaRequest>,
    /// What the authorizer of a REST API says: `lambda_http` reads only the forms of an HTTP API.
    authorizer: HashMap<String, Value>,
}

impl<'de> Deserialize<'de> for HttpEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Rest {
            request_context: Context,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Context {
            authorizer: Option<HashMap<String, Value>>,
        }
        let event = <&RawValue>::deserialize(deserializer)?.get();
        // The deployed API's first: `lambda_http` tries a REST API's form on each event before it.
        if let Ok(request) = serde_json::from_str::<ApiGatewayV2httpRequest>(event) {
            let request = Box::new(LambdaRequest::ApiGatewayV2(request));
            return Ok(Self { request, authorizer: HashMap::new() });
        }
        let request = serde_json::from_str(event).map_err(serde::de::Error::custom)?;
        let rest: Rest = serde_json::from_str(event).map_err(serde::de::Error::custom)?;
        Ok(Self { request, authorizer: rest.request_context.authorizer.unwrap_or_default() })
    }
}

/// What a front end takes as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrontEnd {
    /// API Gateway, a function URL or VPC Lattice.
    Gateway,
    /// An Application Load Balancer.
    LoadBalancer,
}

impl FrontEnd {
    /// The largest body, in bytes as the runtime sends it: inside a JSON string.
    ///
    /// Lambda takes 6 MB; a load balancer 1 MB, headers included
    /// (docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html).
    pub(crate) fn body_bytes(self) -> usize {
        match self {
            Self::Gateway => 5 * 1024 * 1024,
            Self::LoadBalancer => 960 * 1024,
        }
    }

    /// The same of a record's value, which nothing else has to fit beside: 4 MiB as base64 do.
    pub(crate) fn value_bytes(self) -> usize {
        match self {
            Self::Gateway => 6_000_000,
            Self::LoadBalancer => self.body_bytes(),
        }
    }
}

impl HttpEvent {
    /// What kind of answer is wanted.
    pub(crate) fn front_end(&self) -> FrontEnd {
        match *self.request {
            LambdaRequest::Alb(_) => FrontEnd::LoadBalancer,
            _ => FrontEnd::Gateway,
        }
    }

    /// The request, and what the front end's authorizer verified.
    ///
    /// # Errors
    /// The body is not the base64 that it is said to be.
    pub(crate) fn into_request(mut self) -> Result<(Request, Claims), Failure> {
        let Taken { path, query, body, is_base64_encoded } = take_from(&mut self.request);
        let body = match body {
            Some(text) if is_base64_encoded => Body::Binary(decoded(&text)?),
            Some(text) => Body::Text(text),
            None => Body::Empty,
        };
        let request = Request::from(*self.request).map(|_| body);
        let request = request.with_raw_http_path(path).with_query_string_parameters(query);
        Ok((request, Claims { of_rest: self.authorizer }))
    }
}

/// What is taken out of an event before `lambda_http` makes a request of it: it builds a URI and decodes the body, and
/// panics where that cannot be done.
struct Taken {
    path: String,
    query: QueryMap,
    body: Option<String>,
    is_base64_encoded: bool,
}

impl Taken {
    fn new(path: String, query: QueryMap, body: &mut Option<String>, is_base64_encoded: bool) -> Self {
        Self { path, query, body: body.take(), is_base64_encoded }
    }
}

/// Host and stage go as well: they are parts of the URI, which nobody asks for.
fn take_from(request: &mut LambdaRequest) -> Taken {
    match request {
        LambdaRequest::ApiGatewayV2(event) => of_http_api(event),
        LambdaRequest::ApiGatewayV1(event) => of_rest_api(event),
        LambdaRequest::Alb(event) => {
            event.headers.remove(HOST);
            let query =
                either(&mut event.multi_value_query_string_parameters, &mut event.query_string_parameters);
            Taken::new(of(&mut event.path), parsed(&query), &mut event.body, event.is_base64_encoded)
        }
        LambdaRequest::VpcLatticeV2(event) => {
            event.headers.remove(HOST);
            let mut path = of(&mut event.path);
            path.truncate(path.find('?').unwrap_or(path.len()));
            let query = parsed(&std::mem::take(&mut event.query_string_parameters));
            Taken::new(path, query, &mut event.body, event.is_base64_encoded)
        }
        LambdaRequest::WebSocket(event) => {
            event.headers.remove(HOST);
            event.request_context.domain_name = None;
            event.request_context.stage = None;
            // No route leads here: a message is no request.
            Taken::new(of(&mut event.path), QueryMap::default(), &mut None, false)
        }
        // What is not known yet has no path, and fits no route.
        _ => Taken::new(String::new(), QueryMap::default(), &mut None, false),
    }
}

fn of_http_api(event: &mut ApiGatewayV2httpRequest) -> Taken {
    event.headers.remove(HOST);
    let domain = event.request_context.domain_name.take();
    let path = without_stage(of(&mut event.raw_path), event.request_context.stage.take().as_deref());
    let path = if is_decoded(domain.as_deref()) { path.replace('%', "%25") } else { path };
    // The parameters that the gateway has taken apart are joined by commas where one stands twice.
    let query = event.raw_query_string.take().unwrap_or_default();
    event.query_string_parameters = QueryMap::default();
    Taken::new(path, query.parse().unwrap_or_default(), &mut event.body, event.is_base64_encoded)
}

fn of_rest_api(event: &mut ApiGatewayProxyRequest) -> Taken {
    // These have all values, and those the last of each, which would replace them.
    if event.multi_value_headers.is_empty() {
        event.headers.remove(HOST);
    } else {
        event.headers.clear();
    }
    event.request_context.domain_name = None;
    // The path of a REST API is without its stage.
    event.request_context.stage = None;
    let query = either(&mut event.multi_value_query_string_parameters, &mut event.query_string_parameters);
    Taken::new(of(&mut event.path), query, &mut event.body, event.is_base64_encoded)
}

/// A path, for which one is left that makes a URI.
fn of(path: &mut Option<String>) -> String {
    path.replace("/".to_owned()).unwrap_or_default()
}

/// The parameters with all their values, where the front end passes these on.
fn either(multi: &mut QueryMap, single: &mut QueryMap) -> QueryMap {
    let (multi, single) = (std::mem::take(multi), std::mem::take(single));
    if multi.is_empty() { single } else { multi }
}

/// The path as it was sent, without the stage that an HTTP API puts before it.
fn without_stage(path: String, stage: Option<&str>) -> String {
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    match rest.filter(|rest| rest.starts_with('/')) {
        Some(rest) => rest.to_owned(),
        None => path,
    }
}

/// Whether the path of an event of this form was decoded before: an HTTP API does that, a function URL and local hosts do not.
fn is_decoded(domain: Option<&str>) -> bool {
    domain.is_some_and(|domain| domain != "localhost" && !domain.contains(".lambda-url."))
}

/// A query whose names and values are as the caller encoded them. Joined and parsed as one text; taken apart once more
/// after they were decoded, a value with `&` in it would become two.
fn parsed(encoded: &QueryMap) -> QueryMap {
    let pairs: Vec<String> = encoded.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&").parse().unwrap_or_default()
}

/// A body that the front end took for something else than text.
fn decoded(base64: &str) -> Result<Vec<u8>, Failure> {
    STANDARD
        .decode(base64)
        .map_err(|error| Failure::bad_body(format!("The body must be base64, as it is said to be; {error}.")))
}

/// What an authorizer verified before the request came here. A load balancer and a function URL have none: the headers
/// in which a load balancer names a user can be sent by anybody whom its rules let pass without a login.
pub(crate) struct Claims {
    of_rest: HashMap<String, Value>,
}

impl Claims {
    /// A claim of the caller's token: of a JWT or Cognito authorizer, or what an authorizer function calls so.
    pub(crate) fn get<'a>(&'a self, request: &'a Request, name: &str) -> Option<&'a str> {
        let value = match request.request_context_ref()? {
            RequestContext::ApiGatewayV2(context) => claim_of_http_api(context.authorizer.as_ref()?, name),
            RequestContext::ApiGatewayV1(_) => {
                let claims = self.of_rest.get("claims");
                claims.and_then(|claims| claims.get(name)).or_else(|| self.of_rest.get(name))?.as_str()
            }
            _ => None,
        };
        value.filter(|value| !value.is_empty())
    }
}

fn claim_of_http_api<'a>(authorizer: &'a ApiGatewayRequestAuthorizer, name: &str) -> Option<&'a str> {
    match &authorizer.jwt {
        Some(jwt) => jwt.claims.get(name).map(String::as_str),
        None => authorizer.fields.get(name)?.as_str(),
    }
}
