//! What may go wrong, and how often.

use std::fmt;

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident: $once:literal, $often:literal;)+) => {
        /// How often each fault may still happen.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub struct Faults {
            $($(#[doc = $doc])+ pub $name: u8,)+
        }

        impl Faults {
            /// Nothing goes wrong.
            pub const NONE: Self = Self { $($name: 0,)+ };

            /// How often each may happen, and what it is called once and several times.
            fn named(&self) -> impl Iterator<Item = (u8, &'static str, &'static str)> {
                [$((self.$name, $once, $often),)+].into_iter()
            }
        }
    };
}

faults! {
    /// A writer dies.
    crash: "crash", "crashes";
    /// A client asks again for what was not answered.
    retry: "retry", "retries";
    /// A command is lost, or its reply is.
    lost: "lost", "lost";
    /// A command is given up and executes later.
    late: "late", "late";
    /// A command is sent again on a new connection, and the first one executes later.
    resent: "sent again", "sent again";
    /// One of the keys is evicted.
    evict: "eviction", "evictions";
    /// The replica takes over, as far as it has come.
    failover: "failover", "failovers";
    /// The old primary of a failover goes on to serve readers.
    isolated: "old primary", "old primaries";
    /// A reader takes intents for dead.
    expire: "expiry", "expiries";
    /// A validity marker comes due.
    expiries: "check-by", "check-bys";
    /// The clock steps back, so that a validity marker that was due is in date again.
    clock_back: "clock back", "clock back";
    /// A caller's clock is so far off that it takes any validity marker for due.
    clock_off: "clock off", "clocks off";
    /// The time passes for which a validity marker stands where servers do not say who they are.
    elapse: "elapse", "elapses";
    /// A reader holds a ticket that disproves a validity marker.
    ticket: "ticket", "tickets";
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let possible = self.named().filter(|(times, ..)| *times > 0);
        let words = possible.map(|(times, once, often)| several(times, once, often));
        f.write_str(&words.collect::<Vec<_>>().join(", "))
    }
}

/// `crash`, or `2 crashes`.
pub(crate) fn several(times: u8, once: &str, often: &str) -> String {
    if times == 1 { once.to_owned() } else { format!("{times} {often}") }
}
