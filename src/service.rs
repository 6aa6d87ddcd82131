//! The session service: who may what, and the statements that ask for it.
//!
//! | | |
//! |---|---|
//! | [`role`] | the roles, in the order of their power |
//! | [`access`] | the permission matrix and its guards |
//! | [`statement`] | nGQL's words: text to statements and back |

pub mod access;
pub mod role;
pub mod statement;
