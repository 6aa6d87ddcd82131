//! Where roles come from: the fleet's records, the host's statements (`roleOf`), or the space in which a session was
//! begun.
//!
//! Invariants: a role is looked up at every use. Without accounts a session is a User in the space in which its host
//! began it and has no role elsewhere. Root is always God, whoever decides the other roles.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Replica;
use crate::io::SessionHandle;
use crate::mutant::{Mutant, Service as Rule, off};
use crate::service::access::Roles;
use crate::service::hosted::{Hosted, Pair};
use crate::service::role::{ROOT, RoleType};
use crate::service::statement::{Show, Statement, parse};
use crate::service::system::Directory;

/// The roles as they are now.
pub(super) struct Held<'a> {
    pub(super) directory: Directory<'a>,
    hosted: &'a Hosted,
    open: bool,
}

/// The name of a space that is written with its generation.
fn name_of(space: &str) -> &str {
    space.split_once(':').map_or(space, |(name, _)| name)
}

impl Roles for Held<'_> {
    fn role(&self, user: Option<&str>, space: &str) -> Option<RoleType> {
        match user {
            Some(ROOT) => Some(RoleType::God),
            _ if self.hosted.is_on() => self.hosted.role(user, name_of(space)),
            Some(user) => self.directory.role(user, space),
            None => None,
        }
    }

    fn open(&self) -> bool {
        self.open
    }
}

/// What the host is about to do, which determines the roles that it must state.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asking<'a> {
    /// This session operates in its space.
    pub session: Option<SessionHandle>,
    /// It reads lists or runs these statements, for which its roles in other spaces count too.
    pub text: Option<&'a str>,
    /// A client with this token joins.
    pub token: Option<&'a str>,
}

impl Replica {
    pub(super) fn roles(&self) -> Held<'_> {
        let (directory, hosted) = (self.directory(), &self.service.hosted);
        let open = !hosted.is_on() && !directory.has_accounts() && !off(Mutant::Service(Rule::Begun));
        Held { directory, hosted, open }
    }

    /// Whether the host decides roles.
    #[must_use]
    pub const fn asks_roles(&self) -> bool {
        self.service.hosted.is_on()
    }

    /// The users and names of spaces whose roles the host must state before the next input: of sessions that have a
    /// link, wait, or watch keys here, since any input may serve them; and those for `asking`. Empty if the host
    /// decides no roles.
    #[must_use]
    pub fn wanted_roles(&self, asking: Asking<'_>) -> Vec<Pair> {
        let mut wanted: Vec<Pair> = Vec::new();
        if !self.asks_roles() {
            return wanted;
        }
        let mut want = |user: Option<&str>, space: &str| {
            let place = wanted.binary_search_by(|(one, at)| (one.as_deref(), at.as_str()).cmp(&(user, space)));
            if let (Err(at), true) = (place, user != Some(ROOT)) {
                wanted.insert(at, (user.map(String::from), space.to_string()));
            }
        };
        for client in self.links.clients.values() {
            client.spaces.iter().for_each(|(space, _)| want(client.user.as_deref(), space.name()));
        }
        let watched = self.watches.sessions().map(|(handle, space)| (handle, Some(space)));
        for (handle, space) in self.waits.sessions().chain(watched).chain(asking.session.map(|own| (own, None))) {
            if let Some(state) = self.sessions.get(&handle) {
                want(state.user.as_deref(), space.unwrap_or(&state.space).name());
            }
        }
        // Waiting statements name spaces like those that are about to run.
        for (handle, text) in self.waits.texts().chain(asking.text.map(|text| (asking.session, text))) {
            let state = handle.and_then(|handle| self.sessions.get(&handle));
            self.wanted_by(state.and_then(|state| state.user.as_deref().map(Into::into)), text, &mut want);
        }
        let bearer = asking.token.and_then(|token| self.open_token(token, self.now).ok());
        if let Some(claims) = bearer.as_ref().and_then(|token| token.identity()) {
            want(claims.subject.as_deref(), claims.space.name());
        }
        wanted
    }

    fn wanted_by(&self, user: Option<String>, text: &str, want: &mut dyn FnMut(Option<&str>, &str)) {
        let (mut spaces, mut users) = (self.named_spaces(), alloc::vec![user]);
        for statement in parse(text).unwrap_or_default() {
            if let Statement::DescribeUser(name) = statement {
                users.push(Some(name));
            } else if let Statement::Show(Show::Roles(_), _) = statement {
                users.extend(self.directory().users().into_iter().map(Some));
            } else if let Statement::Use(name) = statement {
                spaces.push(name);
            }
        }
        users.iter().for_each(|user| spaces.iter().for_each(|space| want(user.as_deref(), space)));
    }

    /// Every space of which a list may show something.
    fn named_spaces(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut name = |space: &str| {
            if !names.iter().any(|known| known == space) {
                names.push(space.into());
            }
        };
        self.spaces().iter().for_each(|space| name(space.name()));
        self.service.manager.iter().for_each(|session| name(session.space.name()));
        self.service.manager.over().for_each(|over| name(over.session.space.name()));
        self.store.roster().iter().for_each(|(_, row)| name(row.space.name()));
        self.service.queries.running().for_each(|query| name(name_of(&query.space)));
        self.service.queries.history().for_each(|query| name(name_of(&query.space)));
        names
    }

    /// Stores roles stated by the host. They count until it states others.
    pub fn say_roles(&mut self, roles: Vec<(Pair, Option<RoleType>)>) {
        if self.service.hosted.say(roles) {
            self.stirred = true;
            self.service.stirred = true;
            self.front.forget_all();
        }
    }
}
