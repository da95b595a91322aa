//! The promises, at the level of an application: managers, sessions and cookies over a store that
//! keeps the contract.
//!
//! Every check is a function over a [`Harness`], the same that the conformance suite takes;
//! [`promises_suite!`](crate::promises_suite) makes a test of each. They look at what a browser is
//! told and at what the store is asked, and at nothing inside.
//!
//! | room | what it is about |
//! |---|---|
//! | [`trips`] | what each operation costs (P1) |
//! | [`kept`] | nothing is lost (P2) |
//! | [`late`] | nothing comes back (P3) |
//! | [`strict`] | what we did not issue is never adopted (P7) |
//! | [`login`] | login rotates, and keeps to the limit (P8) |
//! | [`rotation`] | tokens that are replaced periodically disturb nobody, and find out a thief |
//! | [`sealed`] | sealed fields can be read by nobody else, and nowhere else |
//! | [`devices`] | a user sees and ends their own sessions, and nobody else's |
//! | [`handler`] | what a handler can rely on |
//! | [`lives`] | lives of sessions that nobody thought of (P2, P3, P8) |
//! | [`faults`] | it fails closed (P6), and shows no secret (P5) |
//!
//! [`Harness`]: super::Harness

mod scene;
pub mod trips;
pub mod kept;
pub mod late;
pub mod strict;
pub mod login;
pub mod rotation;
pub mod sealed;
pub mod devices;
pub mod handler;
pub mod lives;
pub mod faults;

/// Makes a test of every check: `promises_suite!(Here::start)`, where `Here::start` gives a new
/// [`Harness`](crate::testing::Harness) for each test.
///
/// A store that is dear to start, such as a cluster, has all checks in one test, and so in one
/// process, that share it: `promises_suite!(in one test it_keeps_the_contract, Here::start)`.
///
/// See [`testing`](crate::testing) for an example.
#[macro_export]
macro_rules! promises_suite {
    ($($start:tt)+) => {
        $crate::__promises_tests! { [$($start)+];
            trips::a_request_that_asks_nothing_costs_nothing
            trips::the_first_read_brings_everything_and_later_ones_are_free
            trips::every_operation_costs_what_the_table_says
            trips::a_newcomer_who_writes_nothing_costs_nothing
            trips::a_newcomers_first_write_costs_one_trip
            trips::an_expired_cookie_costs_a_first_write_two_trips
            kept::increments_of_64_clients_are_all_kept
            kept::increments_of_two_fields_do_not_disturb_each_other
            kept::updates_of_8_clients_are_exact
            kept::writers_of_different_fields_all_survive
            kept::of_many_takers_one_shows_the_message
            late::after_a_logout_no_late_request_gets_in
            late::after_a_rotation_no_late_request_gets_in_and_none_is_lost
            late::after_a_login_no_late_request_of_the_old_cookie_gets_in
            late::a_late_write_says_so_and_makes_nothing
            late::only_who_ended_the_session_removes_the_cookie
            late::a_session_lost_half_way_is_not_made_anew
            strict::a_malformed_cookie_never_reaches_the_store
            strict::a_forged_token_never_reaches_the_store
            strict::a_planted_token_is_never_adopted
            strict::a_cookie_sent_twice_is_like_one_that_was_ended
            strict::a_name_that_only_looks_like_ours_is_another_cookie
            strict::a_token_of_another_cookie_names_no_session
            strict::a_token_passed_off_as_one_of_the_other_kind_names_no_session
            strict::a_flood_of_strangers_is_refused_and_logins_are_not
            strict::a_token_of_a_retired_key_lives_until_it_is_rotated
            login::a_cookie_known_before_the_login_is_dead_after_it
            login::the_same_user_keeps_every_field_and_another_none
            login::what_waited_for_a_user_whose_session_expired_is_not_the_next_ones
            login::a_login_keeps_of_nobodys_session_only_what_is_named
            login::a_login_starts_clean_by_default
            login::fields_of_the_login_are_there_with_it
            login::a_session_counts_for_what_its_last_login_was_worth
            login::a_remembered_cookie_stays_for_the_absolute_timeout
            login::a_login_that_finds_the_user_full_changes_nothing
            login::a_session_that_was_pushed_out_is_ended
            login::two_hundred_logins_leave_the_five_that_are_allowed
            login::of_two_hundred_logins_five_are_let_in
            login::a_rotation_changes_the_token_and_nothing_else
            rotation::of_many_requests_at_once_one_is_handed_the_next_token
            rotation::a_copied_cookie_ends_the_session_for_both_and_is_told
            rotation::a_token_that_is_lost_on_the_way_is_issued_again
            rotation::a_login_over_a_copied_cookie_begins_anew
            sealed::what_is_sealed_is_read_here_and_nowhere_else
            sealed::a_value_that_was_moved_or_changed_is_absent_and_told
            sealed::a_retired_key_opens_and_a_forgotten_one_does_not
            sealed::what_moves_to_another_id_is_sealed_anew
            sealed::a_handler_that_fails_takes_nothing_along
            sealed::every_operation_on_a_sealed_field_does_what_it_does_on_others
            sealed::without_a_key_nothing_is_written_in_the_clear
            devices::another_client_is_told_once_a_request_and_ends_nothing
            devices::a_user_sees_their_own_sessions_and_no_other
            devices::pages_go_on_by_the_text_of_a_link
            devices::one_session_ends_another_and_stays
            devices::who_changed_a_factor_goes_on_under_a_new_token_and_alone
            devices::nobody_elses_session_can_be_named
            devices::ending_ones_own_session_is_a_logout
            devices::who_was_ended_ends_nobody
            devices::an_operator_counts_exports_ends_and_erases
            devices::a_login_can_have_a_limit_of_its_own
            devices::a_role_that_was_taken_away_is_gone_at_once_on_every_instance
            devices::after_a_logout_everywhere_nobody_of_before_is_in
            handler::reads_see_what_waits_and_never_send_it
            handler::what_waits_leaves_with_the_next_change_in_order
            handler::what_waits_is_dropped_with_a_5xx_and_kept_otherwise
            handler::what_waits_stays_when_the_change_comes_to_nothing
            handler::writes_over_a_limit_are_refused_whole
            handler::what_can_not_be_kept_is_an_error_at_once
            handler::a_newcomer_who_takes_or_removes_makes_no_session
            handler::an_expired_visitor_who_takes_makes_no_session
            handler::a_logout_of_nobody_does_nothing
            handler::writes_after_a_logout_make_a_fresh_session
            handler::all_clones_are_one_session
            handler::clones_that_read_at_once_share_one_trip
            handler::a_login_over_an_ended_session_goes_ahead_fresh
            handler::authenticated_within_counts_from_the_login
            handler::the_end_of_a_session_is_told_by_the_stores_clock
            handler::polling_keeps_nobody_logged_in
            handler::after_the_head_only_awaited_operations_work
            lives::random_lives_are_as_promised
            faults::a_visit_fails_closed_at_every_call
            faults::a_store_that_is_away_loses_nobody
            faults::a_first_write_whose_answer_is_lost_leaves_no_session
            faults::a_request_that_is_dropped_ends_what_nobody_was_told_of
            faults::without_randomness_no_session_is_made
            faults::no_token_and_no_value_is_shown_by_debug
        }
    };
}

/// Makes a test of what takes hours, for a store on a clock that a test can move:
/// `promises_suite_of_hours!(Here::start)`.
#[macro_export]
macro_rules! promises_suite_of_hours {
    ($($start:tt)+) => {
        $crate::__promises_tests! { [$($start)+];
            lives::random_lives_over_days_are_as_promised
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __promises_tests {
    ([in one test $name:ident, $start:expr]; $($room:ident :: $check:ident)*) => {
        #[test]
        fn $name() {
            $crate::testing::run_together(&[$(
                (stringify!($check), || $crate::testing::promises::$room::$check(&($start)())),
            )*]);
        }
    };
    ([$start:expr]; $($room:ident :: $check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $crate::testing::promises::$room::$check(&($start)());
            }
        )*
    };
}
