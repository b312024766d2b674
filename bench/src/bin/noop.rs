//! The least that a function can do: what every other one is measured against.

use lambda_http::{Body, Error, Request, Response, run_concurrent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run_concurrent(service_fn(|_: Request| async { Ok::<_, Error>(Response::new(Body::Text("{}".into()))) }))
        .await
}
