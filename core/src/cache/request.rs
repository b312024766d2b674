//! What a server is asked in one round trip.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Script, ScriptInvocation, Value};

/// One question to one server.
pub(super) enum Request<'a> {
    /// A command.
    Command(Cmd),
    /// Several commands, between which nothing else happens.
    Transaction(Vec<Cmd>),
    /// Several commands that have nothing to do with each other, at least one. The answer is the list of theirs.
    Batch(Vec<Cmd>),
    /// A script, by its hash.
    Script(&'a Script, ScriptInvocation<'a>),
}

/// What goes before a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// The slot is not the server's yet: it was named by another one's `ASK`.
    pub(super) asking: bool,
    /// The server does not know the script.
    pub(super) load: bool,
}

impl Request<'_> {
    /// Sends it and waits for the answer. What goes before it goes with it: on a connection that others use too, nothing
    /// of theirs gets in between.
    pub(super) async fn send(
        &self,
        connection: &mut MultiplexedConnection,
        manner: Manner,
    ) -> RedisResult<Value> {
        let pipeline = self.pipeline(manner);
        let mut answers = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
        // The first error is the reason of those that follow: of EXECABORT, say.
        for answer in &mut answers {
            if let Value::ServerError(_) = answer {
                std::mem::take(answer).extract_error()?;
            }
        }
        if let Self::Batch(_) = self {
            return Ok(Value::Array(answers));
        }
        answers.pop().unwrap_or_default().extract_error()
    }

    /// The library's own transactions would take an error of EXEC, as a moved slot's, for an answer of another form.
    fn pipeline(&self, manner: Manner) -> Pipeline {
        let mut pipeline = redis::pipe();
        if let (true, Self::Script(script, _)) = (manner.load, self) {
            pipeline.load_script(script);
        }
        if manner.asking {
            pipeline.cmd("ASKING");
        }
        match self {
            Self::Command(command) => {
                pipeline.add_command(command.clone());
            }
            Self::Batch(commands) => add_all(&mut pipeline, commands),
            Self::Transaction(commands) => {
                pipeline.cmd("MULTI");
                add_all(&mut pipeline, commands);
                pipeline.cmd("EXEC");
            }
            Self::Script(_, call) => {
                pipeline.invoke_script(call);
            }
        }
        pipeline
    }
}

fn add_all(pipeline: &mut Pipeline, commands: &[Cmd]) {
    for command in commands {
        pipeline.add_command(command.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: &Request<'_>, asking: bool, load: bool) -> Vec<String> {
        let pipeline = request.pipeline(Manner { asking, load });
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
        let script = Script::new("return 1");
        let call = Request::Script(&script, script.prepare_invoke());
        assert_eq!(sent(&call, false, false), ["EVALSHA"]);
        assert_eq!(sent(&call, true, true), ["SCRIPT", "ASKING", "EVALSHA"]);
        let look = Request::Transaction(vec![redis::cmd("TIME"), redis::cmd("HGETALL")]);
        assert_eq!(sent(&look, true, false), ["ASKING", "MULTI", "TIME", "HGETALL", "EXEC"]);
    }
}
