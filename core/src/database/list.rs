//! An owner's conversations, in the order of their last activity.

use super::error::StatementError;
use super::rows::Listed;
use sqlx::postgres::PgRow;
use sqlx::{FromRow as _, Row as _};

use crate::types::conversation::{Metadata, OwnerId};
use crate::types::error::Error;
use crate::types::page::{Archived, ConversationFilter, Cursor, Direction, Limit, Order};

use super::Database;

/// Up to so many conversations that have a pair are read and put in order; of more, the list is walked until a page is
/// full. Either way is slow where the other is fast.
const FEW: i64 = 20_000;

/// A page of the list, as a statement. `$1` shard, `$2` owner, `$3` and `$4` cursor or null, `$5` rows.
///
/// The row is made anew, since a worker of a distributed engine calls the type of its own part otherwise.
///
/// A row comparison with no `or` beside it: the index leads to a page deep in the list as fast as to the first, also in a
/// plan that was made for any cursor.
macro_rules! page {
    ($from:literal, $archived:literal, $before:literal, $beyond:literal, $order:literal, $having:literal) => {
        concat!(
            "select conversation_json(row(c.*)::conversations) as conversation, unix_micros(c.updated_at) as at_micros,
                c.conversation_id as id from ",
            $from,
            " where c.shard = $1 and c.owner_id = $2 and ",
            $archived,
            " and c.deleted_at is null and (c.updated_at, c.conversation_id) ",
            $before,
            " (coalesce(from_unix_micros($3), '",
            $beyond,
            "'), coalesce($4, '')) and not has_expired(c.updated_at, c.expires_after)",
            $having,
            " order by c.updated_at ",
            $order,
            ", c.conversation_id ",
            $order,
            " limit $5"
        )
    };
}

/// Of those that are not archived, of those that are, and of both: each downwards in time, and upwards.
macro_rules! list {
    ($from:literal, $before:literal, $beyond:literal, $order:literal, $having:literal) => {
        [
            page!($from, "c.archived = false", $before, $beyond, $order, $having),
            page!($from, "c.archived = true", $before, $beyond, $order, $having),
            // The index leads to the place in each of them.
            concat!(
                "select conversation, at_micros, id from ((",
                page!($from, "c.archived = false", $before, $beyond, $order, $having),
                ") union all (",
                page!($from, "c.archived = true", $before, $beyond, $order, $having),
                ")) both_kinds order by at_micros ",
                $order,
                ", id ",
                $order,
                " limit $5"
            ),
        ]
    };
    ($from:literal, $having:literal) => {
        [list!($from, "<", "infinity", "desc", $having), list!($from, ">", "-infinity", "asc", $having)]
    };
}

/// The statements of a list, by direction, then by what is archived.
type Statements = [[&'static str; 3]; 2];

const ALL: Statements = list!("conversations c", "");
/// `$6` the pair that the fewest have, `$7` all pairs. The lateral join reads just those that have the first.
const OF_FEW: Statements = list!(
    "(select conversation_key from metadata_pairs where shard = $1 and owner_id = $2 and pair = $6) p
        cross join lateral (select * from conversations where shard = $1 and key = p.conversation_key offset 0) c",
    " and (select count(*) from metadata_pairs o where o.shard = $1 and o.owner_id = $2 and o.conversation_key = p.conversation_key
        and o.pair = any ($7)) = cardinality($7)"
);
/// `$6` is not used. A subquery that counts cannot become a join, so the list is walked in its order.
const OF_MANY: Statements = list!(
    "conversations c",
    " and $6::bytea is not null and (select count(*) from metadata_pairs o where o.shard = $1 and o.owner_id = $2 and o.conversation_key = c.key
        and o.pair = any ($7)) = cardinality($7)"
);

/// The forks of `$6`, with all pairs `$7`: there are few.
const FORKS: Statements = list!(
    "conversations c",
    " and c.forked_from = $6 and (select count(*) from metadata_pairs o where o.shard = $1 and o.owner_id = $2
        and o.conversation_key = c.key and o.pair = any ($7)) = cardinality($7)"
);

/// The hashes of pairs (`$3` keys, `$4` values), the one first that the fewest conversations have, as far as it matters
/// (`$5`).
const PAIRS: &str = "select pair, (select count(*) from
        (select 1 from metadata_pairs p where p.shard = $1 and p.owner_id = $2 and p.pair = given.pair limit $5) counted) as holders
    from (select metadata_pair(key, value) as pair from unnest($3::text[], $4::text[]) as m(key, value)) given
    order by holders";

impl Database {
    /// One conversation more than `limit` from a cursor on, in the order of the list, of those that the filter
    /// lets through.
    pub(crate) async fn list(
        &self,
        owner: &OwnerId,
        filter: &ConversationFilter,
        order: Order,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Vec<Listed>, Error> {
        let backwards = cursor.is_some_and(|cursor| cursor.direction == Direction::Before);
        let upwards = (order == Order::Ascending) != backwards;
        let pairs = self.pairs(owner, &filter.metadata).await?;
        let statements = match pairs.first() {
            _ if filter.forked_from.is_some() => FORKS,
            None => ALL,
            Some((_, holders)) if *holders < FEW => OF_FEW,
            Some(_) => OF_MANY,
        };
        let of = match filter.archived {
            Archived::Without => 0,
            Archived::Only => 1,
            Archived::With => 2,
        };
        let mut query = sqlx::query(statements[usize::from(upwards)][of])
            .bind(owner.shard())
            .bind(owner.as_str())
            .bind(cursor.map(|cursor| cursor.at_micros))
            .bind(cursor.map(|cursor| cursor.id.as_str()))
            .bind(limit.rows() + 1);
        let all: Vec<_> = pairs.iter().map(|(pair, _)| pair.as_slice()).collect();
        match (&filter.forked_from, pairs.first()) {
            (Some(origin), _) => query = query.bind(origin.as_str()).bind(all),
            (None, Some((rarest, _))) => query = query.bind(rarest.as_slice()).bind(all),
            (None, None) => {}
        }
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let mut listed: Vec<Listed> =
            rows.iter().map(Listed::from_row).collect::<Result<_, _>>().map_err(Error::Database)?;
        if backwards {
            listed.reverse();
        }
        Ok(listed)
    }

    /// The hash of each pair, and how many conversations have it, the fewest first.
    async fn pairs(&self, owner: &OwnerId, metadata: &Metadata) -> Result<Vec<(Vec<u8>, i64)>, Error> {
        if metadata.pairs().is_empty() {
            return Ok(Vec::new());
        }
        let (keys, values): (Vec<_>, Vec<_>) =
            metadata.pairs().iter().map(|(key, value)| (key.as_str(), value.as_str())).unzip();
        let query =
            sqlx::query(PAIRS).bind(owner.shard()).bind(owner.as_str()).bind(keys).bind(values).bind(FEW);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let pair = |row: &PgRow| Ok((row.try_get("pair")?, row.try_get("holders")?));
        rows.iter().map(pair).collect::<sqlx::Result<_>>().map_err(Error::Database)
    }
}
