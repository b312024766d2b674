//! Functions that cannot start say why on one line.

use std::process::Command;

use conversation_tests::functions_folder;

fn start(function: &str, environment: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(functions_folder().join(function))
        .env_clear()
        .envs(environment.iter().copied())
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .env("AWS_LAMBDA_FUNCTION_NAME", function)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_missing_or_malformed_setting_is_named_on_one_line() {
    let (database, redis, auth) =
        (("DATABASE_URL", "postgres://h/d"), ("REDIS_URL", "redis://h"), ("AUTH_MODE", "jwt"));
    for (function, environment, named) in [
        ("add", &[redis, auth][..], "DATABASE_URL"),
        ("recent", &[database, auth], "REDIS_URL"),
        ("get", &[database, redis], "AUTH_MODE"),
        ("delete", &[("DATABASE_URL", "nonsense"), redis, auth], "DATABASE_URL"),
        ("get", &[database, ("REDIS_URL", "nonsense"), auth], "REDIS_URL"),
        ("list", &[database, ("AUTH_MODE", "open")], "AUTH_MODE"),
        ("list", &[auth, database, ("LOG_FORMAT", "xml")], "LOG_FORMAT"),
        ("list", &[auth, database, ("LOG_LEVEL", "=5=")], "LOG_LEVEL"),
        ("migrate", &[], "DATABASE_URL"),
    ] {
        let (ok, said) = start(function, environment);
        assert!(!ok, "{function} started");
        assert!(said.starts_with(&format!("error: {named} ")), "{function}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{function}: {said}");
    }
}
