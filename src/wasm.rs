//! The binding: the only place that names wasm-bindgen, and the only `RefCell`.
//!
//! Every handle that JavaScript holds shares one `RefCell<Replica>`; a borrow lives within one call, and the core
//! never calls out, so JavaScript can never re-enter a borrow: effects are handed over after it was given back. Functions
//! here convert, call, convert; they decide nothing. What crosses is described in `pkg-template/src/wasm/`.

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

/// The state. It is never taken apart: with its replica the instance goes, and its memory as a whole.
type Shared = &'static RefCell<crate::replica::Replica>;
