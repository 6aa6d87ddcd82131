//! The session service: sessions, queries, roles, and the statements about them.
//! | | |
//! |---|---|
//! | [`role`] | the roles, in the order of their power |
//! | [`access`] | the permission matrix and its guards |
//! | [`crowd`] | the sessions of each user at other replicas |
//! | [`hosted`] | the roles that the host answers itself |
//! | [`record`] | what a replica knows of a session |
//! | [`cache`], [`expiry`] | where sessions are found, and when they are looked at |
//! | [`slab`] | a list that grows in pieces, for both |
//! | [`manager`] | the sessions of a replica: begun, found, touched, evicted, over |
//! | [`query`] | what they have run and are running |
//! | [`system`] | what the whole fleet knows: accounts, roles, spaces, kills |
//! | [`password`] | argon2id, at OWASP's minimum |
//! | [`statement`] | nGQL's words: text to statements and back |
//! | [`table`] | what statements answer |
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
