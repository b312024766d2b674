//! Pages of lists: how many, and from where.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::conversation::{ConversationId, Metadata, OwnerId};
use super::error::{Invalid, Problem};
use super::message::{Message, MessageId};

/// How many items a page may hold: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(u8);

impl Limit {
    /// The largest page, and the length of the cached window.
    pub const MAX: Self = Self(100);
    /// The usual page of conversations.
    pub const LIST: Self = Self(20);

    /// Checks a limit.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`].
    pub fn new(limit: i64) -> Result<Self, Invalid> {
        let out_of_range = || Problem::OutOfRange { min: 1, max: i64::from(Self::MAX.0) }.of("limit");
        u8::try_from(limit).ok().filter(|n| (1..=Self::MAX.0).contains(n)).map(Self).ok_or_else(out_of_range)
    }

    /// The limit as a length.
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// Half as many, but at least one.
    #[must_use]
    pub fn half(self) -> Self {
        Self((self.0 / 2).max(1))
    }

    /// The limit as SQL counts.
    pub(crate) fn rows(self) -> i64 {
        i64::from(self.0)
    }
}

/// Part of a list, in the list's own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow in the direction that was read: older ones for the recent messages.
    pub has_more: bool,
}

/// Part of a conversation's messages, oldest first, all of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePage {
    /// The version of the conversation.
    pub version: i64,
    /// The messages.
    pub items: Vec<Message>,
    /// Whether more follow in the direction that was read: older ones for the recent messages.
    pub has_more: bool,
}

/// One message, and the conversation's version at which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAtVersion {
    /// The version of the conversation.
    pub version: i64,
    /// The message.
    pub message: Message,
}

/// Which messages of the history: those next to a position, not including it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The last ones before a position.
    Before(i64),
    /// The first ones after a position.
    After(i64),
}

/// The same next to a message, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The last ones before it.
    Before(MessageId),
    /// The first ones after it.
    After(MessageId),
}

/// Which end of the list comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest activity first.
    #[default]
    Descending,
    /// The oldest activity first.
    Ascending,
}

/// Which of an owner's conversations are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Those that have all these pairs.
    pub metadata: Metadata,
    /// Those that began as a copy of this one.
    pub forked_from: Option<ConversationId>,
    /// Those that are archived, or the others.
    pub archived: Archived,
}

/// Whether archived conversations are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Archived {
    /// They are left out.
    #[default]
    Without,
    /// They alone are listed.
    Only,
    /// They are listed among the others.
    With,
}

/// Where a page of conversations ends, and in which direction the next one lies. A list is ordered by (last activity,
/// id), so a cursor names a place between two conversations whether or not either still exists.
///
/// As text it is opaque: base64url of `direction order owner-hash micros id`. The owner's hash only tells a mix-up from
/// a page: what a cursor can reach is always bounded by the owner of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) direction: Direction,
    pub(crate) order: Order,
    pub(crate) at_micros: i64,
    pub(crate) id: ConversationId,
}

/// Which way a cursor leads, in the order of the list it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what follows.
    After,
    /// To what comes before.
    Before,
}

impl Cursor {
    /// The cursor as clients carry it.
    pub fn encode(&self, owner: &OwnerId) -> String {
        let direction = if self.direction == Direction::After { 'a' } else { 'b' };
        let order = if self.order == Order::Descending { 'd' } else { 'u' };
        let text = format!("{direction}{order} {:08x} {} {}", tag(owner), self.at_micros, self.id);
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Reads a cursor that was given as `after` or `before`, for a list in that order.
    ///
    /// # Errors
    /// [`Problem::NotACursor`]: it does not decode, or belongs to another owner, order or direction.
    pub fn decode(text: &str, owner: &OwnerId, order: Order, direction: Direction) -> Result<Self, Invalid> {
        let param = if direction == Direction::After { "after" } else { "before" };
        Self::parse(text, owner)
            .filter(|cursor| cursor.order == order && cursor.direction == direction)
            .ok_or_else(|| Problem::NotACursor.of(param))
    }

    fn parse(text: &str, owner: &OwnerId) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut fields = text.split(' ');
        let (direction, order) = match fields.next()? {
            "ad" => (Direction::After, Order::Descending),
            "au" => (Direction::After, Order::Ascending),
            "bd" => (Direction::Before, Order::Descending),
            "bu" => (Direction::Before, Order::Ascending),
            _ => return None,
        };
        let owned = fields.next()? == format!("{:08x}", tag(owner));
        // A made-up time beyond the year 9999 is one that Postgres could not compare with.
        let at_micros = fields.next()?.parse().ok().filter(|at| (0..=LATEST_MICROS).contains(at))?;
        let id = ConversationId::new(fields.next()?).ok()?;
        (owned && fields.next().is_none()).then_some(Self { direction, order, at_micros, id })
    }
}

/// The end of the year 9999, in Unix microseconds.
pub(crate) const LATEST_MICROS: i64 = 253_402_300_799_999_999;

/// FNV-1a, 32 bits: enough to tell that a cursor came from another owner's list.
fn tag(owner: &OwnerId) -> u32 {
    owner.as_str().bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            direction: Direction::After,
            order: Order::Descending,
            at_micros: 1_700_000_000_123_456,
            id: ConversationId::new("c:1").unwrap(),
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let owner = OwnerId::new("ann").unwrap();
        let text = cursor().encode(&owner);
        assert_eq!(Cursor::decode(&text, &owner, Order::Descending, Direction::After).unwrap(), cursor());
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let (ann, bob) = (OwnerId::new("ann").unwrap(), OwnerId::new("bob").unwrap());
        let text = cursor().encode(&ann);
        for refused in [
            Cursor::decode(&text, &bob, Order::Descending, Direction::After),
            Cursor::decode(&text, &ann, Order::Ascending, Direction::After),
            Cursor::decode(&text, &ann, Order::Descending, Direction::Before),
            Cursor::decode("conv_1", &ann, Order::Descending, Direction::After),
            Cursor::decode(&URL_SAFE_NO_PAD.encode(b"ad \xff"), &ann, Order::Descending, Direction::After),
            Cursor::decode(
                &Cursor { at_micros: i64::MAX, ..cursor() }.encode(&ann),
                &ann,
                Order::Descending,
                Direction::After,
            ),
            Cursor::decode(
                &Cursor { at_micros: -1, ..cursor() }.encode(&ann),
                &ann,
                Order::Descending,
                Direction::After,
            ),
            Cursor::decode("", &ann, Order::Descending, Direction::After),
        ] {
            assert_eq!(refused.unwrap_err().problem, Problem::NotACursor);
        }
    }

    #[test]
    fn limits_are_1_to_100() {
        assert_eq!(Limit::new(1).unwrap().get(), 1);
        assert_eq!(Limit::new(100).unwrap(), Limit::MAX);
        for bad in [0, 101, -1, i64::MAX] {
            assert!(Limit::new(bad).is_err(), "{bad}");
        }
    }
}
