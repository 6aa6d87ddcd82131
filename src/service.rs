//! The session service: sessions, queries, roles, and the statements about them.
//!
//! | | |
//! |---|---|
//! | [`role`] | the roles, in the order of their power |
//! | [`access`] | the permission matrix and its guards |
//! | [`crowd`] | the sessions of each user at other replicas |
//! | [`hosted`] | the roles that the host states (`roleOf`) |
//! | [`record`] | what a replica knows of a session |
//! | [`cache`], [`expiry`] | finding sessions, and when each must be examined |
//! | [`slab`] | a list that grows in pieces, used by both |
//! | [`manager`] | the sessions of a replica: beginning, lookup, use, eviction and end |
//! | [`query`] | the queries of sessions, running and ended |
//! | [`system`] | what the whole fleet knows: accounts, roles, spaces, kills |
//! | [`failures`] | failed logins, and when they lock an account |
//! | [`password`] | argon2id, at OWASP's minimum |
//! | [`statement`] | nGQL statements: parsing and printing |
//! | [`table`] | the answers of statements |
//! | [`audit`] | the operation log |

pub mod access;
pub mod audit;
pub mod cache;
pub mod crowd;
pub mod expiry;
pub mod failures;
pub mod hosted;
pub mod manager;
pub mod password;
pub mod query;
pub mod record;
pub mod role;
pub mod slab;
pub mod statement;
pub mod system;
pub mod table;
