//! Every law, once: the runner and the tests of a backend are both made of this list.
//!
//! The families are the files beside this one. A law that only some backends can keep names the
//! ability it needs.

use evenfold_core::Error;
use evenfold_core::store::Ability;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::subject::Subject;

/// A law, and how it is proven.
pub(super) struct Law {
    pub(super) name: &'static str,
    pub(super) needs: Option<Ability>,
    pub(super) proof: for<'a> fn(&'a Subject<'a>) -> BoxFuture<'a, Result<(), Error>>,
}

macro_rules! table {
    ({} $($family:ident { $($law:ident $(needs $ability:ident)?;)+ })+) => {
        pub(super) const LAWS: &[Law] = &[$($(Law {
            name: stringify!($law),
            needs: { let needs: &[Ability] = &[$(Ability::$ability)?]; needs.first().copied() },
            proof: |subject| super::$family::$law(subject).boxed(),
        }),+),+];
    };
}

crate::__laws! { [table] {} }

/// Makes a test of each law for a backend, by the test attribute of its runtime.
///
/// The backend is any expression that makes a [`Backend`](crate::conformance::Backend); each test
/// makes its own. Two backends in one file go into two modules. When `$EVENFOLD_LAWS_DIR` names a
/// folder, the tests keep a report of the backend there, in `<backend>.txt`.
///
/// Take a test attribute with threads, so that writers really meet:
/// `conformance!(InFile, #[tokio::test(flavor = "multi_thread", worker_threads = 2)])`. A whole
/// example is at [`Backend`](crate::conformance::Backend).
#[macro_export]
macro_rules! conformance {
    ($backend:expr, #[$($test:tt)+] $(,)?) => {
        $crate::__laws! { [$crate::__law_tests] { $backend, $($test)+ } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __law_tests {
    (
        { $backend:expr, $($test:tt)+ }
        $($family:ident { $($law:ident $(needs $ability:ident)?;)+ })+
    ) => {
        $crate::__law_tests! { @each { $backend, [$($test)+] } $($($law)+)+ }
    };
    (@each { $backend:expr, $test:tt } $($law:ident)+) => {
        $($crate::__law_tests! { @one { $backend, $test } $law })+
    };
    (@one { $backend:expr, [$($test:tt)+] } $law:ident) => {
        #[$($test)+]
        async fn $law() {
            $crate::conformance::check(&$backend, stringify!($law)).await;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __laws {
    ([$($then:tt)+] $given:tt) => { $($then)+! { $given
        write {
            a_batch_stands_at_consecutive_positions_in_its_order;
            a_batch_above_the_size_of_a_page_lands_whole;
            a_batch_with_one_message_that_cannot_be_written_lands_not_at_all;
            a_stream_begins_at_zero_and_has_no_gap;
            streams_count_their_positions_apart;
            a_stream_named_by_a_category_alone_can_be_written;
            every_stream_is_known_by_its_whole_name;
            global_positions_begin_above_zero_and_rise;
            a_refused_write_leaves_no_gap_in_the_stream;
            an_empty_batch_is_invalid;
            a_batch_with_an_id_twice_is_invalid;
        }
        expected_version {
            a_stream_without_messages_is_no_stream;
            a_write_at_the_expected_version_succeeds;
            a_write_that_expects_nothing_succeeds_anywhere;
            a_stream_that_is_there_conflicts_with_no_stream;
            a_write_at_a_stale_version_is_a_conflict;
            a_write_at_a_version_not_yet_reached_is_a_conflict;
            a_write_at_a_version_of_a_missing_stream_is_a_conflict;
            a_batch_is_checked_once_against_the_version_before_it;
            a_conflict_writes_nothing;
            the_version_of_other_streams_does_not_count;
            a_category_alone_has_a_version_of_its_own;
        }
        idempotent_id {
            a_write_made_twice_is_a_repetition;
            a_repetition_has_its_first_positions_whatever_it_expects;
            a_repetition_is_found_behind_later_messages;
            part_of_a_batch_written_again_is_a_repetition;
            two_writes_written_again_as_one_batch_are_a_repetition;
            content_is_compared_as_json;
            other_metadata_is_no_other_content;
            an_id_taken_by_other_data_is_a_duplicate;
            an_id_taken_by_another_type_is_a_duplicate;
            an_id_taken_in_another_stream_is_a_duplicate;
            a_batch_that_is_known_in_part_is_a_duplicate;
            a_batch_in_another_order_is_a_duplicate;
            a_batch_whose_messages_stand_apart_is_a_duplicate;
            a_duplicate_id_is_told_before_a_conflict;
        }
        read_stream {
            a_page_of_a_stream_begins_at_the_position_asked_for;
            a_page_of_a_stream_ends_at_its_limit;
            a_page_of_a_stream_past_its_end_is_empty;
            a_page_of_a_missing_stream_is_empty;
            a_page_of_a_stream_holds_no_other_stream;
            the_pages_of_a_stream_hold_it_whole;
            reading_a_stream_by_the_name_of_a_category_is_invalid;
            the_last_message_is_the_one_at_the_end;
            the_last_message_of_a_type_is_found_behind_others;
            a_category_alone_has_a_last_message;
            the_version_is_the_position_of_the_last_message;
        }
        content {
            data_comes_back_as_it_was_written;
            empty_data_comes_back_as_an_empty_object;
            types_come_back_as_they_were_written;
            metadata_comes_back_with_every_key;
            metadata_keys_of_other_clients_come_back;
            empty_metadata_is_not_stored;
            a_message_reads_the_same_however_it_is_asked_for;
            times_are_in_utc;
        }
        read_category {
            a_page_of_a_category_begins_at_the_position_asked_for;
            a_page_of_a_category_ends_at_its_limit;
            a_page_of_a_category_past_its_end_is_empty;
            a_page_of_a_missing_category_is_empty;
            a_category_rises_over_its_streams;
            a_category_is_matched_whole;
            a_category_holds_the_stream_named_by_it_alone;
            the_pages_of_a_category_hold_it_whole;
        }
        merged {
            a_page_of_several_categories_rises_and_holds_no_other;
            a_page_of_all_categories_leaves_bookkeeping_out;
            a_merged_page_begins_at_the_position_asked_for;
            a_merged_page_ends_at_its_limit;
            a_merged_page_past_the_end_decides_nothing;
            the_pages_of_several_categories_hold_them_whole;
            a_merged_cursor_goes_on_where_no_message_matches;
            a_reader_of_several_categories_misses_nothing_while_others_write;
        }
        backlog {
            the_head_of_a_category_is_where_its_last_message_stands;
            a_backlog_counts_what_is_behind_a_place;
            a_backlog_counts_what_the_query_holds;
        }
        category_filter {
            a_correlation_holds_the_messages_that_name_its_category;
            a_correlation_is_matched_whole;
            a_message_without_correlation_is_in_none;
            a_limit_counts_the_messages_that_are_correlated;
            the_pages_of_a_correlation_hold_it_whole;
            a_limit_counts_the_messages_of_the_member;
            the_pages_of_a_member_hold_its_streams_whole;
            a_member_of_a_correlation_holds_what_both_hold;
            types_hold_the_messages_of_these_types_alone;
            what_is_read_without_metadata_is_the_same_but_for_that;
        }
        consumer_group {
            every_stream_with_an_id_falls_to_exactly_one_member;
            streams_of_one_cardinal_id_fall_to_one_member;
            a_stream_without_an_id_falls_to_no_member;
            streams_fall_to_the_members_that_message_db_gives_them_to;
            a_group_of_the_largest_size_shares_a_category;
        }
        progress {
            a_subscriber_that_has_not_begun_has_no_progress;
            progress_is_read_back_as_it_was_recorded_last;
            any_place_can_be_recorded;
            progress_recorded_twice_under_one_id_is_recorded_once;
            subscribers_keep_their_progress_apart;
            members_keep_their_progress_apart;
            a_subscriber_of_a_stream_and_one_of_its_category_keep_apart;
            a_category_alone_is_not_subscribed_to_as_a_stream;
            progress_is_recorded_as_eventide_records_it;
            progress_recorded_by_another_client_is_read;
            progress_stands_in_no_page_of_the_category;
            what_is_noted_beside_progress_comes_back;
            of_two_who_record_on_the_same_progress_one_is_told_of_the_other;
        }
        parking {
            what_is_parked_comes_in_the_order_of_its_stream;
            what_is_resolved_lets_the_next_one_go;
            a_note_that_is_read_twice_counts_once;
            of_two_who_note_at_once_one_is_told_of_the_other;
            notes_stand_in_a_category_of_their_own_and_name_their_cause;
        }
        unreadable_progress {
            a_record_of_another_type_is_unreadable;
            a_record_without_a_whole_number_is_unreadable;
            a_negative_record_is_unreadable;
            a_record_in_another_unit_is_unreadable;
            a_record_after_an_unreadable_one_is_read;
        }
        browse {
            an_empty_store_lists_nothing;
            categories_are_listed_once_and_sorted_by_their_bytes;
            categories_are_listed_in_pages;
            a_category_is_listed_with_its_count_and_its_last_message;
            streams_of_a_category_are_listed_once_and_sorted_by_their_bytes;
            streams_are_listed_in_pages;
            a_listing_may_begin_behind_a_name_that_is_not_there;
            a_stream_is_listed_with_its_version_and_its_last_message;
            a_message_is_found_by_its_id;
            an_unknown_id_finds_nothing;
        }
        concurrency {
            of_writers_who_expect_one_version_one_succeeds;
            writers_who_expect_nothing_leave_no_gap;
            writers_of_batches_do_not_mix_them;
            writers_of_one_message_write_it_once;
            a_batch_is_seen_whole_or_not_at_all;
            a_reader_of_a_category_misses_nothing_while_others_write;
            writers_of_many_categories_do_not_disturb_each_other;
            a_write_that_was_never_polled_writes_nothing;
            a_dropped_write_wrote_all_or_nothing;
            a_dropped_read_leaves_the_store_usable;
        }
        transaction {
            what_is_written_in_a_transaction_is_there_when_it_commits needs Transactions;
            a_transaction_that_does_not_commit_wrote_nothing needs Transactions;
            a_refused_write_leaves_the_transaction_usable needs Transactions;
            a_transaction_sees_what_it_wrote needs Transactions;
            of_transactions_who_expect_one_version_one_commits needs Transactions;
            what_a_transaction_wrote_is_a_repetition_in_another needs Transactions;
            a_transaction_dropped_at_any_point_ends needs Transactions;
        }
        leases {
            a_member_alone_holds_every_bucket needs Leases;
            members_come_to_hold_their_shares needs Leases;
            surplus_is_told_and_held_until_it_is_given_up needs Leases;
            the_lowest_free_buckets_are_taken_up_to_the_share needs Leases;
            an_epoch_rises_with_each_holder_and_with_no_renewal needs Leases;
            what_a_silent_member_held_is_taken_and_it_is_told_so needs Leases;
            a_member_counts_until_its_time_is_over needs Leases;
            a_lease_that_nobody_took_is_still_its_holders needs Leases;
            a_bucket_that_was_given_up_is_free_at_once needs Leases;
            what_another_member_holds_cannot_be_given_up needs Leases;
            who_leaves_frees_every_bucket_at_once needs Leases;
            another_number_of_buckets_is_refused_by_both_numbers needs Leases;
            groups_of_other_names_have_other_leases needs Leases;
            members_are_listed_with_their_buckets_and_their_time needs Leases;
        }
        leases_at_once {
            of_members_who_ask_at_once_one_holds_a_bucket needs Leases;
            what_ran_out_is_taken_by_one_member_alone needs Leases;
            a_dropped_renewal_leaves_the_group_in_order needs Leases;
        }
        abilities {
            a_store_has_leases_or_says_that_it_lacks_them;
            a_store_names_itself_and_each_ability_once;
            a_context_leaves_the_store_usable_however_it_ends;
            a_store_opened_again_has_everything needs Durable;
            a_store_opened_again_knows_what_was_written needs Durable;
            two_openings_see_each_others_writes needs SharedByProcesses;
            of_writers_of_two_openings_one_succeeds needs SharedByProcesses;
            a_reader_of_another_opening_misses_nothing needs SharedByProcesses;
        }
    } };
}
