//! Where credentials come from: the environment, as on Lambda, or, for programs that run elsewhere too, the endpoint that a
//! container is given, as on ECS and EKS. Profiles, instance metadata and web identities are not looked for.

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_credential_types::provider::SharedCredentialsProvider;

/// Asks anew each time: what is worth keeping is the token.
pub(super) fn provider() -> SharedCredentialsProvider {
    let environment = EnvironmentVariableCredentialsProvider::new();
    let chain = CredentialsProviderChain::first_try("Environment", environment);
    #[cfg(feature = "container-credentials")]
    let chain = chain.or_else("Container", container());
    SharedCredentialsProvider::new(chain)
}

#[cfg(feature = "container-credentials")]
fn container() -> aws_config::ecs::EcsCredentialsProvider {
    // The endpoint is on this machine and speaks plain HTTP.
    let client = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_config::provider_config::ProviderConfig::default().with_http_client(client);
    aws_config::ecs::EcsCredentialsProvider::builder().configure(&config).build()
}
