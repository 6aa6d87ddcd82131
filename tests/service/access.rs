//! The matrix is the documented one, and the guards hold for everyone.

use edge_session::error::ErrorCode;
use edge_session::service::access::{
    Actor, GUARDS, MATRIX, Reach, Right, RoleChange, Roles, check_account, check_role_change, reach,
};
use edge_session::service::role::{ROOT, RoleType};

use super::rows;

const COLUMNS: [Option<RoleType>; 6] = [
    Some(RoleType::God),
    Some(RoleType::Admin),
    Some(RoleType::Dba),
    Some(RoleType::User),
    Some(RoleType::Guest),
    None,
];

#[test]
fn the_matrix_is_the_documented_one() {
    let rows = rows(include_str!("../data/service/rights.txt"));
    assert_eq!(rows[0][1..], ["God", "Admin", "DBA", "User", "Guest", "none"]);
    assert_eq!(rows.len() - 1, MATRIX.len());
    for (documented, own) in rows[1..].iter().zip(&MATRIX) {
        assert_eq!(documented[0], format!("{:?}", own.right));
        for (column, cell) in COLUMNS.into_iter().zip(&documented[1..]) {
            assert_eq!(*cell, format!("{:?}", reach(own.right, column)), "{:?} {column:?}", own.right);
        }
    }
}

#[test]
fn more_power_never_means_less_reach() {
    let rank = |reach: Reach| match reach {
        Reach::No => 0,
        Reach::Own => 1,
        Reach::Space => 2,
        Reach::SpaceAndOwn => 3,
        Reach::All => 4,
    };
    for row in &MATRIX {
        let ranks: Vec<u32> = COLUMNS.into_iter().map(|column| rank(reach(row.right, column))).collect();
        assert!(ranks.is_sorted_by(|more, less| more >= less), "{:?}: {ranks:?}", row.right);
    }
}

/// `me` holds what is asked for in shop; `admin`, `dba` and `root` are what they are called there.
struct Held(Option<RoleType>);

impl Roles for Held {
    fn role(&self, user: Option<&str>, space: &str) -> Option<RoleType> {
        match (user, space) {
            (Some(ROOT), _) => Some(RoleType::God),
            (Some("me"), "shop") => self.0,
            (Some("admin"), "shop") => Some(RoleType::Admin),
            (Some("dba"), "shop") => Some(RoleType::Dba),
            _ => None,
        }
    }
}

fn actor(role: Option<RoleType>) -> Actor<'static> {
    let god = role == Some(RoleType::God);
    Actor { user: Some(if god { ROOT } else { "me" }), god, begun: None }
}

fn change(role: RoleType, space: &'static str, user: &'static str) -> RoleChange<'static> {
    RoleChange { role, space, user }
}

#[test]
fn only_god_and_the_spaces_admin_change_roles_and_only_god_those_of_admins() {
    for held in COLUMNS {
        let may = |change: RoleChange<'_>| check_role_change(&actor(held), &change, &Held(held)).is_ok();
        let god = held == Some(RoleType::God);
        let admin = god || held == Some(RoleType::Admin);
        for role in [RoleType::Dba, RoleType::User, RoleType::Guest] {
            assert_eq!(may(change(role, "shop", "nobody")), admin, "{held:?} {role}");
            assert_eq!(may(change(role, "blog", "nobody")), god, "elsewhere: {held:?} {role}");
            assert_eq!(may(change(role, "shop", "admin")), god, "of an Admin: {held:?} {role}");
        }
        assert_eq!(may(change(RoleType::Admin, "shop", "dba")), god, "{held:?}");
    }
}

#[test]
fn the_guards_hold_for_god_as_well() {
    for held in COLUMNS {
        let refused = |change: RoleChange<'_>| {
            let error = check_role_change(&actor(held), &change, &Held(held)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PermissionDenied);
            error.cause().to_string()
        };
        let me = actor(held).user.unwrap();
        for role in RoleType::ALL {
            assert!(GUARDS.iter().any(|guard| guard.cause == refused(change(role, "shop", ROOT))));
            assert!(GUARDS.iter().any(|guard| guard.cause == refused(change(role, "shop", me))));
        }
        assert_eq!(refused(change(RoleType::God, "shop", "nobody")), GUARDS[0].cause);
        assert!(check_account(&actor(held), ROOT, true).is_err(), "nobody drops root");
    }
    // A host's `roleOf` may make others God.
    struct Host;
    impl Roles for Host {
        fn role(&self, _: Option<&str>, _: &str) -> Option<RoleType> {
            Some(RoleType::God)
        }
    }
    let error = check_role_change(&actor(Some(RoleType::God)), &change(RoleType::Guest, "shop", "dba"), &Host);
    assert_eq!(error.unwrap_err().cause(), GUARDS[3].cause);
}

#[test]
fn a_refusal_names_the_missing_right() {
    let error = actor(Some(RoleType::Guest)).check(Right::Write, &Held(Some(RoleType::Guest)), "shop", false);
    let error = error.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert_eq!(error.cause(), "this needs the right to write data in the space; ask for a role that has it");
}

#[test]
fn who_holds_a_role_nowhere_reaches_only_what_is_their_own() {
    let actor = actor(None);
    for row in &MATRIX {
        let elsewhere = actor.may(row.right, &Held(None), "shop", false);
        assert_eq!(elsewhere, row.right == Right::ShowSpaces, "{:?}", row.right);
    }
    assert!(actor.may(Right::KillSession, &Held(None), "shop", true));
}
