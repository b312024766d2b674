//! Where credentials come from: the environment, as on Lambda, or the endpoint that a container is told of, as with
//! SnapStart, ECS and EKS. Profiles, instance metadata and web identities are not looked for.

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Builder;

/// Asks anew each time: what is worth keeping is the token.
pub(super) fn provider() -> SharedCredentialsProvider {
    // The endpoint is on this machine and speaks plain HTTP.
    let config = ProviderConfig::default().with_http_client(Builder::new().build_http());
    let container = EcsCredentialsProvider::builder().configure(&config).build();
    let environment = EnvironmentVariableCredentialsProvider::new();
    let chain = CredentialsProviderChain::first_try("Environment", environment);
    SharedCredentialsProvider::new(chain.or_else("Container", container))
}
