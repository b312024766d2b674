//! What may happen to the caches, and in which order.

use proptest::collection::vec;
use proptest::prelude::*;

/// Something that happens. Numbers choose among what there is, 0 the latest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// So many messages are added to the row. What the transaction answers can be published and filled.
    Add {
        messages: u8,
        takes_epoch: bool,
    },
    /// A message is deleted, so many from the end.
    DeleteMessage(u8),
    /// All but the first so many messages are replaced by others.
    Replace {
        kept: u8,
        added: u8,
    },
    /// The metadata is changed.
    Update,
    /// The row is read.
    Read {
        takes_epoch: bool,
    },
    Begin {
        again: bool,
        hint: bool,
        /// By a clock that is far off.
        off: bool,
    },
    PlaceIntent,
    Publish {
        begun: u8,
        news: u8,
    },
    Lease {
        /// By a clock that is far off.
        off: bool,
    },
    Fill {
        leased: u8,
        news: u8,
    },
    WriteTombstone,
    Drop {
        as_seen: bool,
    },
    Withdraw(u8),
    Release,
    EvictEntry,
    EvictWindow,
    Invalidate,
    Failover,
    ValidityPasses,
    IntentsAge,
    LeaseAges,
}

/// Mostly the latest.
fn choice() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(0_u8), 2 => 1..4_u8]
}

/// Mostly not.
fn is_off() -> impl Strategy<Value = bool> {
    prop_oneof![5 => Just(false), 1 => Just(true)]
}

fn changes() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..4_u8, any::<bool>()).prop_map(|(messages, takes_epoch)| Step::Add { messages, takes_epoch }),
        1 => (90..130_u8, any::<bool>()).prop_map(|(messages, takes_epoch)| Step::Add { messages, takes_epoch }),
        2 => (0..120_u8).prop_map(Step::DeleteMessage),
        2 => (0..120_u8, 0..101_u8).prop_map(|(kept, added)| Step::Replace { kept, added }),
        1 => Just(Step::Update),
        1 => any::<bool>().prop_map(|takes_epoch| Step::Read { takes_epoch }),
    ]
}

fn commands() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<(bool, bool)>(), is_off())
            .prop_map(|((again, hint), off)| Step::Begin { again, hint, off }),
        2 => Just(Step::PlaceIntent),
        8 => (choice(), choice()).prop_map(|(begun, news)| Step::Publish { begun, news }),
        6 => is_off().prop_map(|off| Step::Lease { off }),
        8 => (choice(), choice()).prop_map(|(leased, news)| Step::Fill { leased, news }),
        1 => Just(Step::WriteTombstone),
        1 => any::<bool>().prop_map(|as_seen| Step::Drop { as_seen }),
        2 => choice().prop_map(Step::Withdraw),
        1 => Just(Step::Release),
    ]
}

fn misfortunes() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::EvictEntry),
        3 => Just(Step::EvictWindow),
        1 => Just(Step::Invalidate),
        2 => Just(Step::Failover),
        2 => Just(Step::ValidityPasses),
        2 => Just(Step::IntentsAge),
        2 => Just(Step::LeaseAges),
    ]
}

/// Commands in any order, and between them whole writes and reads, so that there is something for them to disturb.
pub(super) fn sequences() -> impl Strategy<Value = Vec<Step>> {
    let begin = Step::Begin { again: false, hint: true, off: false };
    // A write that is overtaken: another one begins with the epoch that a reader took meanwhile.
    let overtaken = changes().prop_map(move |change| {
        let (read, publish) = (Step::Read { takes_epoch: true }, Step::Publish { begun: 1, news: 1 });
        vec![begin, change, read, begin, publish]
    });
    let write = changes().prop_map(move |change| vec![begin, change, Step::Publish { begun: 0, news: 0 }]);
    let read = any::<bool>().prop_map(|takes_epoch| {
        vec![Step::Lease { off: false }, Step::Read { takes_epoch }, Step::Fill { leased: 0, news: 0 }]
    });
    let one = prop_oneof![
        2 => write,
        1 => read,
        1 => overtaken,
        2 => changes().prop_map(|step| vec![step]),
        6 => commands().prop_map(|step| vec![step]),
        2 => misfortunes().prop_map(|step| vec![step]),
    ];
    vec(one, 1..60).prop_map(|groups| groups.concat())
}
