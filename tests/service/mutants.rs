//! The tests of the service, tested: with one rule switched off, the test that it is for fails. By chance the simulator notices each
//! as well.

use std::panic::catch_unwind;

use edge_session::mutant::{Mutant, Service, without};

use super::*;

fn notices(rule: Service, test: fn()) {
    let missed = without(Mutant::Service(rule), || catch_unwind(test)).is_ok();
    assert!(!missed, "{} goes unnoticed", Mutant::Service(rule).name());
}

#[test]
fn each_rule_that_is_switched_off_is_noticed() {
    notices(Service::Under, enemy::no_data_overtakes_the_revocation_that_protects_it);
    notices(Service::Authority, enemy::a_role_that_the_token_has_seen_is_waited_for);
    notices(Service::Fence, fences::no_later_word_undoes_a_kill);
    notices(Service::Judge, fleet::a_killed_session_is_refused_wherever_its_kill_is_known);
    notices(Service::Role, fleet::a_grant_and_a_demotion_at_once_leave_the_lower_role);
    notices(Service::Drop, fleet::a_drop_beats_what_was_done_beside_it);
    notices(Service::Twice, fleet::an_account_that_was_created_twice_is_nobodys_until_god_decides);
    notices(Service::Creation, fleet::a_drop_beats_what_was_done_beside_it);
    notices(Service::Begun, roles::without_accounts_a_session_is_a_user_where_it_was_begun_and_nobody_elsewhere);
    notices(Service::Hosted, roles::a_role_that_the_host_takes_away_acts_on_the_next_operation);
    notices(Service::Fleet, limits::what_others_have_told_of_a_user_counts);
    notices(Service::Surplus, limits::after_a_heal_those_end_that_were_idle_for_longest);
    notices(Service::Named, limits::a_refusal_names_no_session_of_others);
    notices(Service::Stop, running::a_kill_reaches_a_query_that_runs_two_edges_away_whatever_its_home_says_meanwhile);
    notices(Service::Looks, running::a_console_that_refreshes_its_lists_does_not_wash_out_what_has_ended);
    notices(Service::Failures, logins::failures_of_two_replicas_are_summed_and_none_is_lost);
    notices(Service::Sides, logins::three_wrong_passwords_on_each_of_two_sides_lock_once_they_meet);
    notices(Service::Over, sessions::a_handle_that_was_over_stays_over_when_its_session_comes_back);
    notices(Service::Settled, logins::what_has_locked_an_account_does_not_count_for_the_next_lock);
}
