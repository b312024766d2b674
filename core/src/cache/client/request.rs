//! What a server is asked in one round trip.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::script::Call;

/// One question to one server.
pub(in crate::cache) enum Request {
    /// A command.
    Command(Cmd),
    /// Several commands, between which nothing else happens.
    Transaction(Vec<Cmd>),
    /// Several commands that have nothing to do with each other, at least one. The answer is the list of theirs.
    Pipeline(Vec<Cmd>),
    /// The same, then a command that the server may refuse: the answer is that of the transaction and that of the command,
    /// nil if it was refused.
    TransactionThen(Vec<Cmd>, Cmd),
    /// A script.
    Script(Call),
}

/// What goes before a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cache) struct SendOptions {
    /// The slot is not the server's yet: it was named by another one's `ASK`.
    pub(in crate::cache) asking: bool,
    /// The server does not know the script: it comes with its text.
    pub(in crate::cache) with_text: bool,
}

impl Request {
    /// Sends it and waits for the answer. What goes before it goes with it: on a connection that others use too, nothing
    /// of theirs gets in between.
    pub(in crate::cache) async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        options: SendOptions,
    ) -> RedisResult<Value> {
        let pipeline = self.pipeline(options);
        let mut answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
        let last = match self {
            Self::TransactionThen(..) => answers.pop(),
            _ => None,
        };
        // The first error is the reason of those that follow: of EXECABORT, say.
        for answer in &mut answers {
            if let Value::ServerError(_) = answer {
                std::mem::take(answer).extract_error()?;
            }
        }
        if let Self::Pipeline(_) = self {
            return Ok(Value::Array(answers));
        }
        let answer = answers.pop().unwrap_or_default().extract_error()?;
        Ok(match last {
            Some(last) => Value::Array(vec![answer, last.extract_error().unwrap_or_default()]),
            None => answer,
        })
    }

    /// The library's own transactions would take an error of EXEC, as a moved slot's, for an answer of another form.
    fn pipeline(&self, options: SendOptions) -> Pipeline {
        let mut pipeline = redis::pipe();
        if options.asking {
            pipeline.cmd("ASKING");
        }
        match self {
            Self::Command(command) => {
                pipeline.add_command(command.clone());
            }
            Self::Pipeline(commands) => add_all(&mut pipeline, commands),
            Self::Transaction(commands) => add_transaction(&mut pipeline, commands),
            Self::TransactionThen(commands, then) => {
                add_transaction(&mut pipeline, commands);
                pipeline.add_command(then.clone());
            }
            Self::Script(call) => {
                pipeline.add_command(call.command(options.with_text));
            }
        }
        pipeline
    }
}

fn add_transaction(pipeline: &mut Pipeline, commands: &[Cmd]) {
    pipeline.cmd("MULTI");
    add_all(pipeline, commands);
    pipeline.cmd("EXEC");
}

fn add_all(pipeline: &mut Pipeline, commands: &[Cmd]) {
    for command in commands {
        pipeline.add_command(command.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::script::Script;
    use super::*;

    fn sent(request: &Request, asking: bool, with_text: bool) -> Vec<String> {
        let pipeline = request.pipeline(SendOptions { asking, with_text });
        pipeline
            .cmd_iter()
            .map(|command| match command.args_iter().next() {
                Some(redis::Arg::Simple(name)) => String::from_utf8(name.to_vec()).unwrap(),
                _ => panic!("no command"),
            })
            .collect()
    }

    #[test]
    fn asking_goes_right_before_what_it_is_for() {
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new("return 1"));
        let call = Request::Script(SCRIPT.call(["k", "l"]));
        assert_eq!(sent(&call, false, false), ["EVALSHA"]);
        assert_eq!(sent(&call, true, true), ["ASKING", "EVAL"]);
        let look = Request::TransactionThen(vec![redis::cmd("HGETALL")], redis::cmd("INFO"));
        assert_eq!(sent(&look, true, false), ["ASKING", "MULTI", "HGETALL", "EXEC", "INFO"]);
    }
}
