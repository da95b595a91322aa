//! The conformance suite: the contract of a [`Store`], as checks that can fail.
//!
//! Every check is a function over a [`Harness`], so that a store's author can step through a single
//! one; [`conformance_suite!`](crate::conformance_suite) makes a test of each. They take nothing for
//! granted but the contract: sessions are looked at through its verbs alone, from two instances
//! where that makes a difference.
//!
//! | room | what it is about |
//! |---|---|
//! | [`create`] | a session is made: whole, once, with its own life |
//! | [`touch`] | it is used, and expires by the store's clock |
//! | [`change`] | operations, applied whole or not at all |
//! | [`limits`] | exact, and refused before anything is written |
//! | [`login`] | a user's sessions and how many there may be |
//! | [`rotate`] | it moves to a new id, renewed or by a login |
//! | [`end`] | it ends, and nothing brings it back |
//! | [`users`] | all sessions of a user: listed, counted, ended in one step |
//! | [`token`] | its token is replaced from time to time |
//! | [`updates`] | many write to one session at once |
//! | [`races`] | many make, end and move sessions at once |
//! | [`random`] | changes that nobody thought of |
//! | [`hours`] | what takes hours, for a clock that a test can move |
//! | [`histories`] | histories that nobody thought of, for such a clock |
//! | [`records`] | an operator looks at sessions and restores them, for a store with [`Records`] |
//!
//! Three things the contract leaves open, and so does the suite: whether a session is still alive
//! in the very millisecond in which it expires; whether a change that was refused or found a
//! conflict renews the idle timeout; and whether an index notices at once or within a tenth of the
//! idle timeout, at most a minute, that a session expired.
//!
//! [`Store`]: crate::Store
//! [`Records`]: crate::records::Records
//! [`Harness`]: super::Harness

mod stage;
pub mod create;
pub mod touch;
pub mod change;
pub mod limits;
pub mod login;
pub mod rotate;
pub mod end;
pub mod users;
pub mod token;
pub mod updates;
pub mod races;
pub mod random;
pub mod hours;
pub mod histories;
pub mod records;

/// Makes a test of every check that needs no more than moments: `conformance_suite!(Here::start)`,
/// where `Here::start` gives a new [`Harness`](crate::testing::Harness) for each test.
///
/// A store that is dear to start, such as a cluster, has all checks in one test, and so in one
/// process, that share it: `conformance_suite!(in one test it_keeps_the_contract, Here::start)`.
///
/// See [`testing`](crate::testing) for an example.
#[macro_export]
macro_rules! conformance_suite {
    ($($start:tt)+) => {
        $crate::__conformance_tests! { [$($start)+];
            create::what_a_session_is_given_comes_back_to_the_byte
            create::what_is_written_later_comes_back_to_the_byte
            create::a_session_can_be_as_large_as_the_layout_allows
            create::a_life_begins_now_and_lasts_as_long_as_it_was_given
            create::a_session_of_one_millisecond_is_made_and_dies
            create::a_session_is_never_overwritten
            create::a_login_under_a_taken_id_ends_nobody
            create::a_session_made_by_a_login_says_whose_it_is
            create::another_instance_sees_everything_at_once
            create::sessions_share_nothing
            touch::a_read_changes_nothing_and_renews_exactly
            touch::every_kind_of_change_renews_exactly
            touch::no_use_moves_the_end_past_the_deadline
            touch::a_use_that_does_not_count_leaves_the_end_where_it_is
            touch::at_most_every_gives_that_much_more_and_rests_for_as_long
            touch::at_most_every_ends_no_session_early_and_none_too_late
            touch::at_most_every_gives_nothing_past_the_deadline
            touch::an_exact_use_takes_back_what_at_most_every_gave
            touch::last_seen_follows_the_uses
            touch::a_session_unused_for_its_idle_timeout_is_unknown_to_every_verb
            touch::a_session_is_unknown_to_every_verb_after_its_deadline
            touch::what_never_was_is_unknown_to_every_verb
            touch::an_id_of_the_other_kind_reads_and_writes_nothing
            touch::an_expired_session_carries_nothing_into_a_login
            touch::a_refused_change_ends_nothing_early
            change::writes_do_what_they_name_and_nothing_else
            change::a_counter_is_exact_over_all_64_bits
            change::a_counter_that_would_leave_its_range_is_refused
            change::what_is_no_decimal_number_can_not_be_counted
            change::compare_and_set_sets_only_what_is_as_expected
            change::take_answers_what_was_there_and_removes_it
            change::append_keeps_the_newest_items_and_stays_json
            change::the_operation_of_a_change_sees_its_writes
            change::a_change_that_fails_leaves_everything_as_it_was
            change::nothing_is_done_for_nobody_where_somebody_was_asked_for
            change::everything_is_done_for_somebody_who_is_logged_in
            limits::the_limit_of_fields_is_exact
            limits::the_limit_of_a_value_is_exact
            limits::the_limit_of_a_session_is_exact
            limits::a_session_above_a_lowered_limit_is_not_locked
            limits::the_limits_hold_for_the_writes_of_a_rotation
            limits::the_limits_hold_for_all_that_a_login_brings_together
            limits::a_limit_beyond_16_bits_is_exact_too
            login::without_a_limit_a_login_ends_nobody
            login::the_session_with_the_least_life_left_makes_room
            login::a_login_never_ends_itself
            login::a_use_that_gives_more_life_moves_a_session_back_in_the_queue
            login::the_index_forgets_no_session_that_is_alive
            login::a_login_under_a_lowered_limit_ends_all_that_are_too_many
            login::a_thousand_sessions_end_in_one_step
            login::a_refused_login_makes_and_ends_nothing
            login::as_many_sessions_as_allowed_are_allowed
            login::a_session_that_is_over_frees_its_place
            login::rotating_a_session_takes_no_second_place
            login::a_session_that_moves_makes_no_room_for_itself
            login::a_renewed_session_can_still_be_revoked
            login::a_revoked_session_carries_nothing_into_a_login
            login::users_do_not_disturb_each_other
            login::users_with_names_alike_are_different_users
            login::a_later_login_brings_no_ended_session_back
            rotate::a_renewal_keeps_everything_but_the_id
            rotate::the_old_id_is_ended_at_once
            rotate::the_writes_are_done_before_the_move
            rotate::a_rotation_that_fails_leaves_the_old_session_as_it_was
            rotate::a_rotation_never_overwrites
            rotate::a_login_takes_from_an_anonymous_session_only_what_is_named
            rotate::the_same_user_keeps_every_field
            rotate::another_user_keeps_nothing
            rotate::a_login_begins_a_new_life
            rotate::a_login_over_a_session_that_is_gone_goes_ahead_fresh
            rotate::a_renewal_of_a_session_that_is_gone_makes_nothing
            rotate::a_session_survives_many_rotations
            end::ending_answers_now_then_before
            end::ending_what_never_was_makes_nothing
            end::nothing_brings_an_ended_session_back
            end::the_id_of_an_ended_session_is_taken
            end::ending_one_session_ends_no_other
            end::ending_the_old_id_does_not_end_the_new_session
            end::a_session_can_be_ended_after_any_change
            end::a_store_that_is_there_says_so
            end::an_abandoned_session_ends
            users::a_user_without_sessions_has_none_to_list_to_count_or_to_end
            users::the_list_shows_every_session_that_is_alive_and_no_other
            users::the_list_says_of_a_session_what_it_is_and_does_not_use_it
            users::pages_show_every_session_once_the_one_with_the_most_life_first
            users::a_page_goes_on_where_the_last_one_ended_whatever_became_of_that_entry
            users::ending_one_ends_it_and_no_other
            users::ending_all_ends_every_session_of_the_user_and_of_nobody_else
            users::ending_all_but_one_keeps_that_one
            users::a_thousand_sessions_are_ended_by_one_of_them
            users::who_has_no_session_any_more_ends_nobody
            users::a_session_of_somebody_else_can_not_be_named
            users::a_login_after_the_end_of_all_lives
            users::erasing_leaves_nothing_and_says_how_many_there_were
            users::of_many_who_end_all_each_session_is_counted_once
            users::after_the_end_of_all_no_session_that_was_before_gets_in
            users::the_index_agrees_with_who_is_alive_at_every_moment
            token::a_token_is_replaced_when_it_is_due_and_not_before
            token::a_change_that_replaces_a_token_is_done_as_any_other
            token::a_change_that_comes_to_nothing_replaces_no_token
            token::of_many_at_once_one_is_handed_the_next_token
            token::an_old_token_after_its_successor_ends_the_session
            token::a_token_two_behind_ends_the_session
            token::a_token_that_was_lost_on_the_way_is_issued_again
            token::a_token_that_the_store_forgot_is_current_again
            token::an_old_token_is_not_renewed_into_a_fresh_one
            token::a_session_ends_with_any_of_its_tokens
            updates::parallel_increments_are_all_counted
            updates::writers_of_different_fields_both_survive
            updates::compare_and_set_loops_lose_nothing
            updates::only_one_sets_what_is_absent
            updates::of_many_takers_one_gets_it
            updates::parallel_appends_are_all_kept_in_each_writers_order
            races::of_many_creators_of_one_id_one_makes_it
            races::of_many_who_end_a_session_one_ends_it
            races::after_a_logout_no_late_request_gets_in
            races::after_a_rotation_no_late_request_gets_in_and_none_is_lost
            races::after_a_revocation_no_late_request_gets_in
            races::of_parallel_rotations_one_is_done
            races::what_is_carried_goes_into_one_login_only
            races::a_logout_and_a_rotation_agree_on_who_came_first
            races::parallel_logins_leave_as_many_sessions_as_allowed
            races::rotations_among_logins_keep_to_the_limit
            random::random_changes_mean_the_same_everywhere
        }
    };
}

/// Makes a test of every check that lets hours and days pass: for a store whose clock the harness
/// moves by hand.
#[macro_export]
macro_rules! conformance_suite_of_hours {
    ($($start:tt)+) => {
        $crate::__conformance_tests! { [$($start)+];
            hours::a_session_lives_exactly_as_long_as_its_idle_timeout
            hours::a_session_in_use_ends_at_its_deadline
            hours::an_ended_session_is_ended_for_two_minutes_and_unknown_after
            hours::a_revoked_session_is_ended_for_two_minutes_at_least
            hours::the_index_keeps_a_session_in_use_all_day
            hours::polling_keeps_no_session_alive
            hours::a_session_of_400_days_lives_for_400_days
            histories::random_histories_leave_alive_who_should_be
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ([in one test $name:ident, $start:expr]; $($room:ident :: $check:ident)*) => {
        #[test]
        fn $name() {
            $crate::testing::run_together(&[$(
                (stringify!($check), || $crate::testing::conformance::$room::$check(&($start)())),
            )*]);
        }
    };
    ([$start:expr]; $($room:ident :: $check:ident)*) => {
        $(
            #[test]
            fn $check() {
                $crate::testing::conformance::$room::$check(&($start)());
            }
        )*
    };
}
