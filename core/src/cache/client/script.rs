//! A script of the protocol, and one call of it.

use redis::{Cmd, ToRedisArgs};

/// A script's text and its hash.
pub(in crate::cache) struct Script {
    text: &'static str,
    hashed: redis::Script,
}

impl Script {
    /// Hashes the text.
    pub(in crate::cache) fn new(text: &'static str) -> Self {
        Self { text, hashed: redis::Script::new(text) }
    }

    /// Prepares a call.
    pub(in crate::cache) fn call(&'static self, keys: [&str; 2]) -> Call {
        Call { script: self, keys: keys.map(str::to_owned), arguments: Vec::new() }
    }
}

/// A script with its keys and arguments.
pub(in crate::cache) struct Call {
    script: &'static Script,
    keys: [String; 2],
    arguments: Vec<Vec<u8>>,
}

impl Call {
    /// Adds an argument, or several.
    pub(in crate::cache) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        argument.write_redis_args(&mut self.arguments);
        self
    }

    /// The command: by the script's hash; or with its text, which every server understands. A server may forget scripts at
    /// any time, and one that stands for many may have loaded it on only some of them, so that to load it first would not do.
    pub(in crate::cache) fn command(&self, with_text: bool) -> Cmd {
        let mut command = if with_text {
            redis::cmd("EVAL").arg(self.script.text).take()
        } else {
            redis::cmd("EVALSHA").arg(self.script.hashed.get_hash()).take()
        };
        command.arg(self.keys.len()).arg(&self.keys).arg(&self.arguments).take()
    }
}
