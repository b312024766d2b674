//! What the functions' user may do in Redis, read from the template that deployments make that user with.

use redis::aio::MultiplexedConnection;
use redis::cmd;

use crate::{Broken, fail};

/// The name under which clients log in.
pub(crate) const USER: &str = "deployed";
/// What a front logs in with behind, in that user's place.
pub(crate) const BEHIND: &str = "behind";
/// The password of both.
pub(crate) const PASSWORD: &str = "secret";
/// What a serverless cache refuses in scripts.
const NOT_IN_SCRIPTS: [&str; 2] = ["time", "info"];

/// The rights of the functions' user, in the form of an access string.
#[derive(Clone, Debug)]
pub struct Access {
    rules: Vec<String>,
    /// Commands that the server does not know.
    unknown: Vec<String>,
}

impl Access {
    /// As `infra/data.yaml` says.
    pub fn of_the_template() -> Self {
        let file = conversation_local::workspace().join("infra/data.yaml");
        let template = std::fs::read_to_string(file).unwrap_or_else(|error| fail(&error));
        let rules = template
            .split_once("AccessString: >-")
            .and_then(|(_, after)| after.split_once("AuthenticationMode"))
            .unwrap_or_else(|| fail(&"the template has no access string"));
        Self { rules: rules.0.split_whitespace().map(str::to_owned).collect(), unknown: Vec::new() }
    }

    /// All rights, for tests of the servers themselves.
    pub fn to_everything() -> Self {
        Self { rules: ["on", "~*", "&*", "+@all"].map(str::to_owned).into(), unknown: Vec::new() }
    }

    /// The same without one right.
    #[must_use]
    pub fn without(mut self, command: &str) -> Self {
        self.rules.push(format!("-{command}"));
        self
    }

    /// The same before a server that lacks a command, in scripts as well as outside.
    #[must_use]
    pub fn unknown(mut self, command: &str) -> Self {
        self.unknown.push(command.to_lowercase());
        self
    }

    /// Commands that the server does not know.
    pub(crate) fn is_unknown(&self, command: &str) -> bool {
        self.unknown.iter().any(|unknown| unknown == command)
    }

    /// The rules, each a word.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// The commands that it names, as `+cluster|slots` names `cluster|slots`.
    pub fn commands(&self) -> Vec<&str> {
        self.rules.iter().filter_map(|rule| rule.strip_prefix('+')).collect()
    }

    /// Whether one of the commands is allowed that a front answers itself: by the last rule that speaks of it.
    pub(crate) fn allows(&self, command: &str) -> bool {
        let said = self.rules.iter().rev().find_map(|rule| match rule.split_at_checked(1)? {
            (sign, name) if name == command || name == "@all" => Some(sign == "+"),
            _ => None,
        });
        said.unwrap_or(false)
    }

    /// Lines of configuration which make a server know the users.
    pub(crate) fn configuration(&self) -> [String; 2] {
        self.users().map(|(name, rules)| format!("user {name} {}", rules.join(" ")))
    }

    /// Makes a server that runs know the users.
    pub(crate) async fn grant(&self, redis: &mut MultiplexedConnection) -> Result<(), Broken> {
        for (name, rules) in self.users() {
            cmd("ACL").arg("SETUSER").arg(name).arg("reset").arg(rules).exec_async(redis).await?;
        }
        Ok(())
    }

    fn users(&self) -> [(&str, Vec<String>); 2] {
        let password = || [format!(">{PASSWORD}")];
        let missing = NOT_IN_SCRIPTS.into_iter().chain(self.unknown.iter().map(String::as_str));
        let missing = missing.map(|command| format!("-{command}"));
        [
            (USER, self.rules.iter().cloned().chain(password()).collect()),
            (BEHIND, self.rules.iter().cloned().chain(missing).chain(password()).collect()),
        ]
    }
}

/// The same server, entered as that user.
pub fn as_deployed(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_else(|| fail(&"no URL"));
    let host = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{USER}:{PASSWORD}@{host}")
}
