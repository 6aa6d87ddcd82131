//! Mutants: checks that a test build can switch off one at a time, to test the tests.
//!
//! A simulator, a model or a property test proves something only if it fails when a check is missing. With the cargo
//! feature `mutants` a test disables one check in its own thread (`without`) and observes whether that is noticed.
//!
//! Invariant: without the feature, [`off`] is the constant `false` and nothing of this remains. The feature does not
//! compile for wasm32, so no shipped module contains a switch.

use crate::guarantee::Guarantee;

#[cfg(all(feature = "mutants", target_arch = "wasm32"))]
compile_error!("the feature `mutants` is for native tests: a shipped module has no switch that turns a check off");

/// A check, or a step of the rules, that can be disabled. Each variant describes what happens without it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Mutant {
    /// The check of one guarantee: a row of [`crate::guarantee::TABLE`].
    Guarantee(Guarantee),
    /// Clause 1 of the delta's rule is missing: an entry that the sender saw removed stays.
    Clause1,
    /// Clause 1 is missing for keys that the delta lists.
    Clause1Listed,
    /// Clause 1 is missing for keys that the delta does not list.
    Clause1Unlisted,
    /// Clause 2 is missing: an entry that was seen removed comes back.
    Clause2,
    /// Clause 3 is missing: the vector does not advance.
    Clause3,
    /// The receiver's vector is not compared with the delta's `from`.
    From,
    /// The delta that ends a run of slices brings its vector but not its keys.
    TopUp,
    /// The clock of a delta is not received.
    HlcReceive,
    /// Everything leaves at once, whether storage has it or not.
    PersistBeforeEscape,
    /// An id whose past was lost continues to be used.
    NewId,
    /// An expired winner lets its siblings show.
    ExpiryMask,
    /// A wait has no deadline.
    Deadline,
    /// A write under the policy `serve` is accepted although the replica is behind.
    ServeThrow,
    /// Copies that are no longer true are not named to the host's front.
    Forget,
    /// A dependency is folded onto a dot whether or not the dot's past covers it.
    FoldCovered,
    /// A check of what clients may do. The simulator and the model have no clients; `tests/trust` has.
    Trust(Trust),
    /// A rule of the session service: `tests/service`, and the simulator.
    Service(Service),
}

/// A rule of the session service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Service {
    /// Data may overtake the records of the fleet that protect it.
    Under,
    /// Of two statements about a session the one that arrived last counts.
    Fence,
    /// A session that is over is admitted with its token.
    Judge,
    /// Of two concurrent roles the last writer's counts.
    Role,
    /// Of a concurrent drop and alteration the last writer's counts.
    Drop,
    /// Two concurrent creations of an account count as one.
    Twice,
    /// A role belongs to the user's name, whichever account has it.
    Creation,
    /// Only the failed logins of one replica count.
    Failures,
    /// Failed logins lock only if one replica has counted the fifth.
    Sides,
    /// Failed logins that have locked an account once continue to count.
    Settled,
    /// A replica does not wait for a role that the token's bearer has seen.
    Authority,
    /// Without accounts every session is a User everywhere.
    Begun,
    /// The first role that the host has stated counts for ever.
    Hosted,
    /// A limit counts only the sessions of this replica.
    Fleet,
    /// Sessions beyond a limit after a partition stay.
    Surplus,
    /// A refusal names other users' sessions.
    Named,
    /// A later row of the home undoes the order to stop a query.
    Stop,
    /// Queries that only read lists are kept in the history.
    Looks,
    /// Everything is permitted.
    Permit,
    /// A dropped space continues to be used.
    Generation,
    /// Fences are dropped long before their sessions would have ended.
    Stay,
    /// Fences are not stored.
    Record,
    /// A session is found by a few bits of its id.
    Identity,
    /// The number of sessions is not limited.
    Limit,
    /// A query that has ended still counts as running.
    Count,
    /// An unused session does not expire.
    Idle,
    /// A session lives on after its absolute end.
    Ends,
    /// A session in use here is given up when another replica publishes it.
    Handover,
    /// The result of a stopped query is accepted.
    Late,
    /// A handle of a session that is over continues to work.
    Over,
}

/// A check of who may join and what a client may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Trust {
    /// A delta may advance any id.
    Origin,
    /// A client that may read a space may write it.
    Role,
    /// An entry may be stamped with any clock.
    Clock,
    /// Stamps may advance ahead of the time without limit.
    Steps,
    /// Entries may be removed from keys without a new entry.
    Removal,
    /// Every client sees every space.
    Space,
    /// A client may send without limit.
    Rate,
    /// What a session has spent is forgotten.
    Account,
    /// A full table of accounts forgets all of them.
    Washed,
    /// The new ids of a user are limited only per session.
    UserBirths,
    /// A session may bring new ids without limit.
    Births,
    /// A session may have any number of links.
    Links,
    /// A session may stage without limit, over many links.
    Staged,
    /// A session is sent as much as it requests.
    Sent,
    /// Answers to clients wait for storage without limit.
    Late,
    /// Messages on a closed link are read.
    Closed,
    /// An edge accepts deltas of another one, whatever its clock shows.
    Quarantine,
    /// A proof of an id in one request holds for later ones.
    EachRequest,
    /// Any claimed proof is accepted.
    Proof,
    /// A peer that has not proved itself is believed.
    Unproved,
    /// A request or a response may be repeated.
    Once,
    /// A repeated call is carried out again.
    CallOnce,
    /// The answer to a call is given to whoever knows its id.
    Caller,
}

/// Whether a check is switched off in this thread.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn off(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use self::switch::{off, without};

#[cfg(feature = "mutants")]
mod switch {
    extern crate std;

    use core::cell::Cell;

    use crate::guarantee::Guarantee;
    use crate::mutant::{Mutant, Service, Trust};

    std::thread_local! {
        static OFF: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether a check is switched off in this thread.
    #[must_use]
    pub fn off(mutant: Mutant) -> bool {
        OFF.get() == Some(mutant)
    }

    /// Runs `run` without one check, in this thread only; `None` leaves all checks on.
    pub fn without<T>(mutant: impl Into<Option<Mutant>>, run: impl FnOnce() -> T) -> T {
        /// Restores the previous state, even if the run panics.
        struct Restore(Option<Mutant>);
        impl Drop for Restore {
            fn drop(&mut self) {
                OFF.set(self.0);
            }
        }
        let _restore = Restore(OFF.replace(mutant.into()));
        run()
    }

    impl Mutant {
        /// Every mutant of replicas that trust each other.
        pub const ALL: [Self; 19] = [
            Self::Guarantee(Guarantee::ReadYourWrites),
            Self::Guarantee(Guarantee::MonotonicReads),
            Self::Guarantee(Guarantee::MonotonicWrites),
            Self::Guarantee(Guarantee::WritesFollowReads),
            Self::Clause1,
            Self::Clause1Listed,
            Self::Clause1Unlisted,
            Self::Clause2,
            Self::Clause3,
            Self::From,
            Self::TopUp,
            Self::HlcReceive,
            Self::PersistBeforeEscape,
            Self::NewId,
            Self::ExpiryMask,
            Self::Deadline,
            Self::ServeThrow,
            Self::Forget,
            Self::FoldCovered,
        ];

        /// The rules of the session service that the simulator notices.
        pub const SERVICE: [Self; 23] = [
            Self::Service(Service::Under),
            Self::Service(Service::Fence),
            Self::Service(Service::Judge),
            Self::Service(Service::Role),
            Self::Service(Service::Drop),
            Self::Service(Service::Twice),
            Self::Service(Service::Creation),
            Self::Service(Service::Failures),
            Self::Service(Service::Sides),
            Self::Service(Service::Settled),
            Self::Service(Service::Authority),
            Self::Service(Service::Permit),
            Self::Service(Service::Generation),
            Self::Service(Service::Stay),
            Self::Service(Service::Record),
            Self::Service(Service::Identity),
            Self::Service(Service::Limit),
            Self::Service(Service::Count),
            Self::Service(Service::Idle),
            Self::Service(Service::Ends),
            Self::Service(Service::Handover),
            Self::Service(Service::Late),
            Self::Service(Service::Over),
        ];

        /// The name, for command lines and tables. No shipped module contains one of these.
        #[must_use]
        pub const fn name(self) -> &'static str {
            match self {
                Self::Guarantee(Guarantee::ReadYourWrites) => "no-read-your-writes",
                Self::Guarantee(Guarantee::MonotonicReads) => "no-monotonic-reads",
                Self::Guarantee(Guarantee::MonotonicWrites) => "no-monotonic-writes",
                Self::Guarantee(Guarantee::WritesFollowReads) => "no-writes-follow-reads",
                Self::Clause1 => "no-clause-1",
                Self::Clause1Listed => "no-clause-1-listed",
                Self::Clause1Unlisted => "no-clause-1-unlisted",
                Self::Clause2 => "no-clause-2",
                Self::Clause3 => "no-clause-3",
                Self::From => "no-from",
                Self::TopUp => "no-top-up",
                Self::HlcReceive => "no-hlc-receive",
                Self::PersistBeforeEscape => "no-persist-before-escape",
                Self::NewId => "no-new-id",
                Self::ExpiryMask => "no-expiry-mask",
                Self::Deadline => "no-deadline",
                Self::ServeThrow => "no-serve-throw",
                Self::Forget => "no-forget",
                Self::FoldCovered => "no-fold-covered",
                Self::Trust(Trust::Origin) => "no-trust-origin",
                Self::Trust(Trust::Role) => "no-trust-role",
                Self::Trust(Trust::Clock) => "no-trust-clock",
                Self::Trust(Trust::Removal) => "no-trust-removal",
                Self::Trust(Trust::Space) => "no-trust-space",
                Self::Trust(Trust::Rate) => "no-trust-rate",
                Self::Service(Service::Under) => "no-service-under",
                Self::Service(Service::Fence) => "no-service-fence",
                Self::Service(Service::Judge) => "no-service-judge",
                Self::Service(Service::Role) => "no-service-role",
                Self::Service(Service::Drop) => "no-service-drop",
                Self::Service(Service::Twice) => "no-service-twice",
                Self::Service(Service::Creation) => "no-service-creation",
                Self::Service(Service::Failures) => "no-service-failures",
                Self::Service(Service::Sides) => "no-service-sides",
                Self::Service(Service::Settled) => "no-service-settled",
                Self::Service(Service::Authority) => "no-service-authority",
                Self::Service(Service::Begun) => "no-service-begun",
                Self::Service(Service::Fleet) => "no-service-fleet",
                Self::Service(Service::Surplus) => "no-service-surplus",
                Self::Service(Service::Stop) => "no-service-stop",
                Self::Service(Service::Looks) => "no-service-looks",
                Self::Service(Service::Named) => "no-service-named",
                Self::Service(Service::Hosted) => "no-service-hosted",
                Self::Service(Service::Permit) => "no-service-permit",
                Self::Service(Service::Generation) => "no-service-generation",
                Self::Service(Service::Stay) => "no-service-stay",
                Self::Service(Service::Record) => "no-service-record",
                Self::Service(Service::Identity) => "no-service-identity",
                Self::Service(Service::Limit) => "no-service-limit",
                Self::Service(Service::Count) => "no-service-count",
                Self::Service(Service::Idle) => "no-service-idle",
                Self::Service(Service::Ends) => "no-service-ends",
                Self::Service(Service::Handover) => "no-service-handover",
                Self::Service(Service::Late) => "no-service-late",
                Self::Service(Service::Over) => "no-service-over",
                Self::Trust(Trust::Proof) => "no-trust-proof",
                Self::Trust(Trust::Unproved) => "no-trust-unproved",
                Self::Trust(Trust::Once) => "no-trust-once",
                Self::Trust(Trust::CallOnce) => "no-trust-call-once",
                Self::Trust(Trust::Caller) => "no-trust-caller",
                Self::Trust(Trust::Steps) => "no-trust-steps",
                Self::Trust(Trust::Account) => "no-trust-account",
                Self::Trust(Trust::Washed) => "no-trust-washed",
                Self::Trust(Trust::UserBirths) => "no-trust-user-births",
                Self::Trust(Trust::Births) => "no-trust-births",
                Self::Trust(Trust::Links) => "no-trust-links",
                Self::Trust(Trust::Staged) => "no-trust-staged",
                Self::Trust(Trust::Sent) => "no-trust-sent",
                Self::Trust(Trust::Late) => "no-trust-late",
                Self::Trust(Trust::Closed) => "no-trust-closed",
                Self::Trust(Trust::Quarantine) => "no-trust-quarantine",
                Self::Trust(Trust::EachRequest) => "no-trust-each-request",
            }
        }

        /// The mutant of that name.
        #[must_use]
        pub fn named(name: &str) -> Option<Self> {
            Self::ALL.into_iter().chain(Self::SERVICE).find(|mutant| mutant.name() == name)
        }
    }
}
