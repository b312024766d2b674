//! An add, against pgbench doing the same to the same tables: one update of the conversation, one insert of the message.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use conversation_core::ConversationStore;
use sqlx::{Connection as _, PgConnection};

use crate::hit::callers_in_words;
use crate::load::{Sample, closed};
use crate::measure::{CALLERS, Outcome, in_turn};
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{OWNER, Stage, batch, key, message};

/// What pgbench does; `:most` is the number of its conversations. It knows their keys and looks nothing up.
const SCRIPT: &str = "\\set c random(1, :most)
begin;
update conversations set version = version + 1, last_seq = last_seq + 1, message_count = message_count + 1,
    updated_at = clock_timestamp(), last_message_at = clock_timestamp() where key = :c returning last_seq \\gset
insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
    values (0, :c, :last_seq, 'msg_' || gen_random_uuid(), false, 'MESSAGE', clock_timestamp());
end;
";

pub(crate) async fn measure(stage: &Stage) -> Outcome<Found> {
    // Each side has its own tables, on one server.
    let peer = stage.database("pgbench")?;
    let many = if stage.settings.rounds == 1 { 50 } else { 1_000 };
    prepare(stage, &peer, many).await?;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("add.sql");
    std::fs::write(&script, SCRIPT.replace("MESSAGE", &message()))?;

    let mut found = Found::default();
    let everywhere = CALLERS.map(|callers| (callers, many, "many conversations"));
    for (callers, conversations, where_to) in everywhere.into_iter().chain([(8, 1, "one hot conversation")]) {
        let rates = in_turn(
            stage.settings.rounds,
            async || Ok(ours(stage, callers, conversations).await?.per_second),
            async || pgbench(stage, &peer, &script, callers, conversations),
        )
        .await?;
        let name = format!("add, against pgbench, {where_to}, {}", callers_in_words(callers));
        found.rows.push(Row::pairs(format!("{name}: throughput"), "1/s", Target::AtLeast(0.8), &rates));
    }
    Ok(found)
}

/// Conversations of a message each on both sides: ours, cached; and pgbench's.
async fn prepare(stage: &Stage, peer: &str, many: usize) -> Outcome<()> {
    let store = stage.store()?;
    for n in 1..=many {
        store.add(&key(&format!("add{n}"))?, &batch(1)?).await?;
    }
    let statement = format!(
        "insert into conversations (shard, owner_id, conversation_id, version, last_seq, message_count, created_at, updated_at)
            select 0, '{OWNER}', 'add' || n, 1, 0, 0, now(), now() from generate_series(1, {many}) n;
         analyze"
    );
    let mut postgres = PgConnection::connect(peer).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut postgres).await?;
    Ok(())
}

async fn ours(stage: &Stage, callers: usize, conversations: usize) -> Outcome<Sample> {
    let callers = (0..callers).map(|_| stage.store()).collect::<Outcome<_>>()?;
    let work = move |store: Arc<ConversationStore>| async move {
        let n = fastrand::usize(1..=conversations);
        store.add(&key(&format!("add{n}"))?, &batch(1)?).await?;
        Ok(())
    };
    closed(callers, stage.settings.seconds, work).await
}

fn pgbench(stage: &Stage, url: &str, script: &Path, callers: usize, conversations: usize) -> Outcome<f64> {
    let seconds = stage.settings.seconds.ceil().to_string();
    let output = Command::new(stage.tools.postgres.join("pgbench"))
        .args(["--no-vacuum", "--protocol=prepared", "--time", &seconds])
        .args(["--client", &callers.to_string(), "--jobs", &callers.min(2).to_string()])
        .args(["--define", &format!("most={conversations}"), "--file"])
        .args([script.as_os_str(), url.as_ref()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.ok_or_else(|| format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into())
}
