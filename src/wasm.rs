//! The binding: the only module that names wasm-bindgen, and the only `RefCell`.
//!
//! All handles that JavaScript holds share one `RefCell<Replica>`. A borrow lives within one call. The core never calls
//! out, and effects are handed over after the borrow has ended, so JavaScript can never re-enter a borrow. The
//! functions here convert, call, convert; they decide nothing. `pkg-template/src/wasm/` describes what crosses.

mod convert;
mod effects;
mod error;
mod inspect;
pub mod memory;
mod options;
mod page;
mod password;
mod replica;
mod session;
mod shape;
mod told;
mod wide;

use core::cell::RefCell;

pub use self::effects::Sink;
pub use self::error::error_table;
pub use self::password::{hash_password, verify_password};
pub use self::replica::Replica;
pub use self::session::Session;

/// The state. It is leaked and never freed: the instance ends together with its replica, and with it its whole memory.
type Shared = &'static RefCell<crate::replica::Replica>;
