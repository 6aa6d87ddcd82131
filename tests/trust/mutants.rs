//! The tests of the lies, tested: with one check switched off, the lie that it is for goes through and is noticed.

use super::*;
use edge_session::mutant::{Mutant, Trust, without};
use std::panic::catch_unwind;

fn notices(trust: Trust, test: fn()) {
    let missed = without(Mutant::Trust(trust), || catch_unwind(test)).is_ok();
    assert!(!missed, "{} goes unnoticed", Mutant::Trust(trust).name());
}

#[test]
fn each_check_that_is_switched_off_is_noticed() {
    notices(Trust::Origin, lies::writing_under_anothers_id);
    notices(Trust::Origin, lies::an_id_is_its_makers_alone);
    notices(Trust::Role, lies::writing_where_one_may_only_read);
    notices(Trust::Clock, lies::a_clock_of_the_future);
    notices(Trust::Steps, lies::stamps_that_creep_ahead_of_the_time);
    notices(Trust::Removal, lies::an_emptied_live_set);
    notices(Trust::Removal, lies::a_live_set_emptied_without_naming_its_key);
    notices(Trust::Removal, lies::a_live_set_emptied_in_favour_of_an_old_write_of_ones_own);
    notices(Trust::Space, sight::no_byte_that_a_client_receives_is_of_a_space_that_its_user_may_not_read);
    notices(Trust::Space, sight::a_hidden_space_is_answered_as_one_that_does_not_exist);
    notices(Trust::Rate, links::who_sends_too_much_is_not_listened_to_for_a_while);
    notices(Trust::Proof, proofs::what_was_said_on_one_link_proves_nothing_on_another);
    notices(Trust::Proof, proofs::a_proof_is_not_its_own_answer);
    notices(Trust::Proof, proofs::who_calls_two_edges_cannot_be_each_of_them_to_the_other);
    notices(Trust::Proof, proofs::a_proof_is_of_both_ids);
    notices(Trust::Proof, proofs::keys_change_as_they_do_for_tokens);
    notices(Trust::Unproved, proofs::who_calls_and_proves_nothing_is_told_nothing_and_believed_nothing);
    notices(Trust::Unproved, proofs::a_fake_edge_learns_nothing_and_is_not_believed);
    notices(Trust::Once, proofs::a_request_is_taken_once_and_from_its_maker_alone);
    notices(Trust::CallOnce, calls::a_call_that_is_repeated_is_carried_out_once);
    notices(Trust::Caller, calls::a_call_is_its_sessions_alone);
    notices(Trust::Account, limits::who_comes_again_brings_no_more_new_ids);
    notices(Trust::Account, limits::who_comes_again_has_sent_what_it_has_sent);
    notices(Trust::Account, limits::by_request_and_on_a_link_one_session_is_one);
    notices(Trust::Account, links::requests_that_say_nothing_count_as_others_do);
    notices(Trust::Births, limits::who_comes_again_brings_no_more_new_ids);
    notices(Trust::Washed, limits::nobody_is_rid_of_a_debt_by_bringing_others);
    notices(Trust::UserBirths, limits::new_sessions_of_a_user_bring_sixteen_times_as_many_ids_and_no_more);
    notices(Trust::Links, limits::a_session_has_so_many_links_at_a_time);
    notices(Trust::Staged, limits::what_is_staged_over_many_links_counts_together);
    notices(Trust::Sent, limits::what_a_client_asks_for_is_sent_at_a_rate);
    notices(Trust::Sent, limits::greetings_are_answered_beyond_that_rate_and_not_for_ever);
    notices(Trust::Sent, limits::what_is_answered_to_requests_is_sent_at_that_rate);
    notices(Trust::Late, limits::answers_that_wait_for_storage_are_bounded);
    notices(Trust::Closed, limits::what_comes_over_a_closed_link_is_not_read);
    notices(Trust::Quarantine, clocks::an_edge_whose_clock_is_more_than_a_day_ahead_is_held_until_the_clocks_agree);
    notices(Trust::Quarantine, clocks::what_a_held_edge_sends_in_slices_takes_no_room);
    notices(Trust::EachRequest, limits::by_request_an_id_is_proved_each_time);
    notices(Trust::Once, proofs::a_response_is_taken_once_and_to_its_request_alone);
}
