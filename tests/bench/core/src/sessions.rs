//! S: a replica's sessions inside wasm (manager, cache and timers together), as every operation of a replica uses them.
//!
//! Exported by name and number alone: the host calls `sessions_begin`, then a function with how often. Sessions are looked for in an
//! order that jumps about, because the one used last is always at hand.

use std::cell::RefCell;
use std::sync::Arc;

use edge_session::id::{ReplicaId, SessionId, Space};
use edge_session::service::manager::{SessionLimits, SessionManager};
use edge_session::service::record::{SessionInfo, SessionStats, Told};

const NOW: u64 = 1_790_000_000_000;
/// How long a session may stay unused, in milliseconds.
const IDLE: u64 = 3_600_000;
/// Sessions that begin within one millisecond.
const AT_ONCE: u64 = 256;

struct Sessions {
    manager: SessionManager,
    ids: Vec<SessionId>,
    users: Vec<String>,
    now: u64,
    home: ReplicaId,
    space: Space,
    at: u64,
}

thread_local! {
    static SESSIONS: RefCell<Option<Sessions>> = const { RefCell::new(None) };
}

impl Sessions {
    fn begin(&mut self) {
        // As the package does at each crossing, of which a session that begins is one.
        #[cfg(target_arch = "wasm32")]
        edge_session::wasm::memory::tend();
        let number = self.ids.len() as u64;
        let spread = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let mut random = [0; 10];
        random.copy_from_slice(&spread.to_be_bytes()[..10]);
        self.now = NOW + number / AT_ONCE;
        let id = SessionId::new(self.now, random);
        let info = SessionInfo {
            id,
            user: Some(Arc::from(self.users[number as usize % self.users.len()].as_str())),
            client: Some(Arc::from("phone")),
            address: None,
            space: self.space.clone(),
            home: self.home,
            created: self.now,
            active: self.now,
            expires: self.now + 24 * IDLE,
            stats: SessionStats::default(),
            queries: 0,
            handles: 0,
            told: Told::default(),
        };
        self.manager.enter(info, self.now).expect("there is no limit");
        // As a server does between requests.
        self.manager.leave(&id);
        self.ids.push(id);
    }

    fn next(&mut self) -> SessionId {
        self.at = self.at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.ids[((u128::from(self.at) * self.ids.len() as u128) >> 64) as usize]
    }
}

fn with<T>(work: impl FnOnce(&mut Sessions) -> T) -> T {
    SESSIONS.with_borrow_mut(|sessions| work(sessions.as_mut().expect("sessions_open comes first")))
}

/// A manager without sessions, which keeps at most so many.
#[unsafe(no_mangle)]
pub extern "C" fn sessions_open(most: u32) {
    let limits =
        SessionLimits { cached: u64::from(most), bytes: u64::MAX, idle: Some(IDLE), ..SessionLimits::default() };
    SESSIONS.set(Some(Sessions {
        manager: SessionManager::new(limits),
        // The others get theirs made, too. What begins beyond the most drives others out.
        ids: Vec::with_capacity(most as usize * 2),
        users: (0..1_000).map(|user| format!("user-{user}")).collect(),
        now: NOW,
        home: ReplicaId::new("edge", [7; 10]).expect("a legal label"),
        space: Space::first("default").expect("a legal name"),
        at: 1,
    }));
}

/// Begins so many, and answers how many there are now.
#[unsafe(no_mangle)]
pub extern "C" fn sessions_begin(times: u32) -> u32 {
    with(|own| {
        (0..times).for_each(|_| own.begin());
        own.manager.len() as u32
    })
}

/// Looks so many up, and answers how many are there.
#[unsafe(no_mangle)]
pub extern "C" fn sessions_get(times: u32) -> u32 {
    with(|own| {
        let (now, idle) = (own.now, Some(IDLE));
        let known = |own: &mut Sessions| {
            let id = own.next();
            own.manager.get(&id).is_some_and(|known| known.due(idle) > now)
        };
        (0..times).map(|_| u32::from(known(own))).sum()
    })
}

/// Uses so many, and answers how many could be used.
#[unsafe(no_mangle)]
pub extern "C" fn sessions_touch(times: u32) -> u32 {
    with(|own| {
        let touch = |own: &mut Sessions| {
            let id = own.next();
            own.manager.touch(&id, own.now).is_ok()
        };
        (0..times).map(|_| u32::from(touch(own))).sum()
    })
}

/// Time passes, millisecond by millisecond, until all are over; answers how many were.
#[unsafe(no_mangle)]
pub extern "C" fn sessions_expire() -> u32 {
    with(|own| {
        let mut gone = 0;
        let mut now = NOW + IDLE;
        while now <= own.now + IDLE {
            own.manager.expire(now, usize::MAX, |_, _| gone += 1);
            now += 1;
        }
        gone
    })
}

/// How many were dropped to make room.
#[unsafe(no_mangle)]
pub extern "C" fn sessions_evicted() -> u32 {
    with(|own| own.manager.cache().0.evictions as u32)
}
