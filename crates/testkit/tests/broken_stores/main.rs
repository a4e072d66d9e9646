//! The suite can fail: each of these stores breaks one promise, and a law that says so is named.
//!
//! The faults are in `store.rs`, `reads.rs`, `merged.rs`, `leases.rs` and `transactions.rs`. Every law
//! must be named here, or else be one that no store can break.

mod leases;
mod merged;
mod reads;
mod store;
mod transactions;

use evenfold_core::Memory;
use evenfold_testkit::conformance::run;
use evenfold_testkit::model::compare;
use store::{Broken, Fault};

macro_rules! each_breaks {
    ($($test:ident: $fault:ident breaks $($law:ident),+;)+) => {
        const BROKEN: &[&str] = &[$($(stringify!($law)),+),+];
        $(
            #[tokio::test]
            async fn $test() {
                let report = run(&Fault::$fault).await;
                let broken: Vec<_> = report.failed().into_iter().map(|(law, _)| law).collect();
                let named: &[&str] = &[$(stringify!($law)),+];
                for law in named {
                    assert!(broken.contains(law), "`{law}` holds; broken are {broken:#?}");
                }
            }
        )+
    };
}

macro_rules! names {
    ({} $($family:ident { $($law:ident $(needs $ability:ident)?;)+ })+) => {
        &[$($(stringify!($law)),+),+]
    };
}

/// What is promised by a type of core, before there is a store.
const UNBREAKABLE: &[&str] = &["a_category_alone_is_not_subscribed_to_as_a_stream"];

#[test]
fn every_law_is_broken_by_some_store() {
    let laws: &[&str] = evenfold_testkit::__laws! { [names] {} };
    let unbroken: Vec<_> =
        laws.iter().filter(|law| !BROKEN.contains(law) && !UNBREAKABLE.contains(law)).collect();
    assert!(unbroken.is_empty(), "no store here breaks these laws: {unbroken:#?}");
}

/// The random model test finds the faults too that show in what one caller is answered.
#[tokio::test]
async fn the_model_test_finds_what_is_broken() {
    for fault in [
        Fault::IgnoresExpectedVersion,
        Fault::WritesHalfABatch,
        Fault::TakesAnIdTwiceForARepetition,
        Fault::AnswersADuplicateAsSuccess,
        Fault::ReadsFromBehind,
        Fault::ReadsOneTooFew,
        Fault::LimitsBeforeItFilters,
        Fault::DropsTheCorrelation,
        Fault::DropsTheGroup,
        Fault::LosesMetadata,
        Fault::ListsByPrefix,
        Fault::ListsAllAfterAnUnknownName,
        Fault::CountsOneTooFew,
        Fault::TakesMalformedProgressForNone,
        Fault::FindsAnythingById,
    ] {
        let broken = Broken { memory: Memory::new(), fault };
        let compared = compare(&Memory::new(), &broken, 3, 1_000).await;
        assert!(compared.is_err(), "{fault:?} was not found");
    }
}

each_breaks! {
    ignores_expected_version: IgnoresExpectedVersion breaks
        a_refused_write_leaves_no_gap_in_the_stream,
        a_stream_that_is_there_conflicts_with_no_stream,
        a_write_at_a_stale_version_is_a_conflict,
        a_write_at_a_version_not_yet_reached_is_a_conflict,
        a_write_at_a_version_of_a_missing_stream_is_a_conflict,
        a_conflict_writes_nothing,
        a_category_alone_has_a_version_of_its_own,
        of_writers_who_expect_one_version_one_succeeds,
        of_two_who_note_at_once_one_is_told_of_the_other,
        of_two_who_record_on_the_same_progress_one_is_told_of_the_other;
    checks_version_before_ids: ChecksVersionBeforeIds breaks
        an_empty_batch_is_invalid,
        a_repetition_has_its_first_positions_whatever_it_expects,
        a_repetition_is_found_behind_later_messages,
        a_duplicate_id_is_told_before_a_conflict,
        writers_of_one_message_write_it_once;
    checks_version_in_another_step: ChecksVersionInAnotherStep breaks
        of_writers_who_expect_one_version_one_succeeds;
    takes_the_version_of_the_category: TakesTheVersionOfTheCategory breaks
        an_empty_batch_is_invalid,
        a_write_at_a_version_of_a_missing_stream_is_a_conflict,
        the_version_of_other_streams_does_not_count,
        a_category_alone_has_a_version_of_its_own,
        a_repetition_has_its_first_positions_whatever_it_expects,
        a_repetition_is_found_behind_later_messages,
        a_duplicate_id_is_told_before_a_conflict,
        writers_of_one_message_write_it_once;
    writes_half_a_batch: WritesHalfABatch breaks
        a_batch_with_one_message_that_cannot_be_written_lands_not_at_all,
        a_refused_write_leaves_no_gap_in_the_stream,
        a_batch_that_is_known_in_part_is_a_duplicate;
    writes_a_batch_in_steps: WritesABatchInSteps breaks
        a_batch_stands_at_consecutive_positions_in_its_order,
        a_batch_with_one_message_that_cannot_be_written_lands_not_at_all,
        a_refused_write_leaves_no_gap_in_the_stream,
        a_write_made_twice_is_a_repetition,
        a_batch_that_is_known_in_part_is_a_duplicate,
        writers_of_batches_do_not_mix_them,
        a_batch_is_seen_whole_or_not_at_all,
        a_dropped_write_wrote_all_or_nothing;
    writes_before_it_is_polled: WritesBeforeItIsPolled breaks
        a_write_that_was_never_polled_writes_nothing;
    takes_an_id_twice_for_a_repetition: TakesAnIdTwiceForARepetition breaks
        a_batch_with_an_id_twice_is_invalid;
    answers_a_duplicate_as_success: AnswersADuplicateAsSuccess breaks
        content_is_compared_as_json,
        an_id_taken_by_other_data_is_a_duplicate,
        an_id_taken_by_another_type_is_a_duplicate,
        an_id_taken_in_another_stream_is_a_duplicate,
        a_batch_in_another_order_is_a_duplicate,
        a_batch_whose_messages_stand_apart_is_a_duplicate;
    answers_a_repetition_with_the_version: AnswersARepetitionWithTheVersion breaks
        a_repetition_is_found_behind_later_messages,
        part_of_a_batch_written_again_is_a_repetition;
    accepts_an_empty_batch: AcceptsAnEmptyBatch breaks
        an_empty_batch_is_invalid;
    reads_from_behind: ReadsFromBehind breaks
        what_is_parked_comes_in_the_order_of_its_stream,
        what_is_resolved_lets_the_next_one_go,
        a_note_that_is_read_twice_counts_once,
        a_stream_begins_at_zero_and_has_no_gap,
        streams_count_their_positions_apart,
        every_stream_is_known_by_its_whole_name,
        a_write_that_expects_nothing_succeeds_anywhere,
        a_page_of_a_stream_begins_at_the_position_asked_for,
        a_page_of_a_stream_holds_no_other_stream,
        data_comes_back_as_it_was_written,
        empty_data_comes_back_as_an_empty_object,
        empty_metadata_is_not_stored,
        times_are_in_utc,
        writers_who_expect_nothing_leave_no_gap,
        a_dropped_read_leaves_the_store_usable,
        a_context_leaves_the_store_usable_however_it_ends;
    reads_one_too_many: ReadsOneTooMany breaks
        a_page_of_a_stream_ends_at_its_limit;
    reads_one_too_few: ReadsOneTooFew breaks
        a_batch_above_the_size_of_a_page_lands_whole,
        a_page_of_a_stream_ends_at_its_limit,
        the_pages_of_a_stream_hold_it_whole;
    reads_a_category_from_behind: ReadsACategoryFromBehind breaks
        a_category_rises_over_its_streams,
        streams_of_one_cardinal_id_fall_to_one_member,
        streams_fall_to_the_members_that_message_db_gives_them_to,
        a_reader_of_a_category_misses_nothing_while_others_write,
        writers_of_many_categories_do_not_disturb_each_other;
    limits_before_it_filters: LimitsBeforeItFilters breaks
        a_limit_counts_the_messages_that_are_correlated,
        the_pages_of_a_correlation_hold_it_whole,
        a_limit_counts_the_messages_of_the_member,
        the_pages_of_a_member_hold_its_streams_whole,
        a_member_of_a_correlation_holds_what_both_hold,
        types_hold_the_messages_of_these_types_alone,
        what_is_read_without_metadata_is_the_same_but_for_that;
    drops_the_types: DropsTheTypes breaks
        types_hold_the_messages_of_these_types_alone;
    keeps_the_metadata: KeepsTheMetadata breaks
        what_is_read_without_metadata_is_the_same_but_for_that;
    drops_the_correlation: DropsTheCorrelation breaks
        a_correlation_holds_the_messages_that_name_its_category,
        a_correlation_is_matched_whole,
        a_message_without_correlation_is_in_none,
        a_limit_counts_the_messages_that_are_correlated,
        the_pages_of_a_correlation_hold_it_whole,
        a_member_of_a_correlation_holds_what_both_hold,
        types_hold_the_messages_of_these_types_alone,
        what_is_read_without_metadata_is_the_same_but_for_that;
    drops_the_group: DropsTheGroup breaks
        the_pages_of_a_member_hold_its_streams_whole,
        every_stream_with_an_id_falls_to_exactly_one_member,
        a_stream_without_an_id_falls_to_no_member,
        a_group_of_the_largest_size_shares_a_category,
        types_hold_the_messages_of_these_types_alone,
        what_is_read_without_metadata_is_the_same_but_for_that;
    matches_a_category_by_prefix: MatchesACategoryByPrefix breaks
        a_page_of_a_category_begins_at_the_position_asked_for,
        a_page_of_a_category_ends_at_its_limit,
        a_page_of_a_category_past_its_end_is_empty,
        a_page_of_a_missing_category_is_empty,
        a_category_is_matched_whole,
        the_pages_of_a_category_hold_it_whole,
        progress_stands_in_no_page_of_the_category;
    reads_a_category_as_a_stream: ReadsACategoryAsAStream breaks
        reading_a_stream_by_the_name_of_a_category_is_invalid;
    mistakes_the_last_of_a_type: MistakesTheLastOfAType breaks
        the_last_message_of_a_type_is_found_behind_others,
        a_category_alone_has_a_last_message;
    loses_metadata: LosesMetadata breaks
        what_is_noted_beside_progress_comes_back,
        notes_stand_in_a_category_of_their_own_and_name_their_cause,
        other_metadata_is_no_other_content,
        metadata_comes_back_with_every_key,
        metadata_keys_of_other_clients_come_back;
    loses_types_case: LosesTypesCase breaks
        types_come_back_as_they_were_written,
        a_message_reads_the_same_however_it_is_asked_for;
    takes_malformed_progress_for_none: TakesMalformedProgressForNone breaks
        a_record_of_another_type_is_unreadable,
        a_record_without_a_whole_number_is_unreadable,
        a_negative_record_is_unreadable,
        a_record_in_another_unit_is_unreadable,
        a_record_after_an_unreadable_one_is_read;
    answers_progress_from_the_first_record: AnswersProgressFromTheFirstRecord breaks
        progress_is_read_back_as_it_was_recorded_last,
        any_place_can_be_recorded,
        a_subscriber_of_a_stream_and_one_of_its_category_keep_apart,
        progress_recorded_by_another_client_is_read,
        a_negative_record_is_unreadable,
        a_record_in_another_unit_is_unreadable,
        a_record_after_an_unreadable_one_is_read;
    loses_progress: LosesProgress breaks
        progress_is_read_back_as_it_was_recorded_last,
        any_place_can_be_recorded,
        subscribers_keep_their_progress_apart,
        members_keep_their_progress_apart,
        a_subscriber_of_a_stream_and_one_of_its_category_keep_apart,
        progress_is_recorded_as_eventide_records_it;
    lists_unsorted: ListsUnsorted breaks
        categories_are_listed_once_and_sorted_by_their_bytes,
        categories_are_listed_in_pages,
        streams_of_a_category_are_listed_once_and_sorted_by_their_bytes,
        streams_are_listed_in_pages;
    counts_one_too_few: CountsOneTooFew breaks
        a_category_is_listed_with_its_count_and_its_last_message;
    finds_nothing_by_id: FindsNothingById breaks
        global_positions_begin_above_zero_and_rise,
        a_message_reads_the_same_however_it_is_asked_for,
        a_message_is_found_by_its_id;
    matches_a_stream_by_prefix: MatchesAStreamByPrefix breaks
        a_page_of_a_stream_holds_no_other_stream,
        a_page_of_a_missing_stream_is_empty;
    takes_no_stream_for_zero: TakesNoStreamForZero breaks a_stream_without_messages_is_no_stream;
    lists_by_prefix: ListsByPrefix breaks
        an_empty_store_lists_nothing,
        streams_of_a_category_are_listed_once_and_sorted_by_their_bytes,
        streams_are_listed_in_pages,
        a_stream_is_listed_with_its_version_and_its_last_message;
    lists_the_one_given: ListsTheOneGiven breaks
        categories_are_listed_in_pages,
        streams_are_listed_in_pages,
        a_listing_may_begin_behind_a_name_that_is_not_there;
    lists_all_after_an_unknown_name: ListsAllAfterAnUnknownName breaks
        a_listing_may_begin_behind_a_name_that_is_not_there;
    finds_anything_by_id: FindsAnythingById breaks
        a_batch_with_one_message_that_cannot_be_written_lands_not_at_all,
        a_stream_that_is_there_conflicts_with_no_stream,
        a_write_at_a_stale_version_is_a_conflict,
        a_write_at_a_version_not_yet_reached_is_a_conflict,
        a_category_alone_has_a_version_of_its_own,
        a_batch_that_is_known_in_part_is_a_duplicate,
        an_unknown_id_finds_nothing;
    reads_the_last_past_the_end: ReadsTheLastPastTheEnd breaks
        a_page_of_a_stream_past_its_end_is_empty,
        the_pages_of_a_stream_hold_it_whole;
    answers_the_first_as_the_last: AnswersTheFirstAsTheLast breaks
        the_last_message_is_the_one_at_the_end;
    refuses_a_category_alone: RefusesACategoryAlone breaks
        a_stream_named_by_a_category_alone_can_be_written,
        the_version_is_the_position_of_the_last_message,
        a_category_holds_the_stream_named_by_it_alone;
    counts_versions_from_one: CountsVersionsFromOne breaks
        a_write_at_the_expected_version_succeeds,
        a_write_at_a_stale_version_is_a_conflict,
        a_write_at_a_version_not_yet_reached_is_a_conflict;
    checks_the_version_after_the_batch: ChecksTheVersionAfterTheBatch breaks
        a_batch_is_checked_once_against_the_version_before_it,
        a_conflict_writes_nothing,
        writers_of_one_message_write_it_once;
    starts_progress_at_zero: StartsProgressAtZero breaks
        a_subscriber_that_has_not_begun_has_no_progress,
        subscribers_keep_their_progress_apart,
        members_keep_their_progress_apart,
        a_subscriber_of_a_stream_and_one_of_its_category_keep_apart;
    records_progress_under_other_ids: RecordsProgressUnderOtherIds breaks
        progress_recorded_twice_under_one_id_is_recorded_once,
        progress_is_recorded_as_eventide_records_it;
    knows_whole_batches_alone: KnowsWholeBatchesAlone breaks
        two_writes_written_again_as_one_batch_are_a_repetition;
    merges_from_behind: MergesFromBehind breaks
        a_page_of_several_categories_rises_and_holds_no_other,
        a_merged_page_begins_at_the_position_asked_for,
        a_reader_of_several_categories_misses_nothing_while_others_write;
    merges_one_too_many: MergesOneTooMany breaks
        a_merged_page_ends_at_its_limit;
    merges_by_category: MergesByCategory breaks
        a_page_of_several_categories_rises_and_holds_no_other;
    merges_bookkeeping: MergesBookkeeping breaks
        a_page_of_all_categories_leaves_bookkeeping_out;
    scans_past_what_it_read: ScansPastWhatItRead breaks
        a_merged_page_ends_at_its_limit,
        the_pages_of_several_categories_hold_them_whole,
        a_reader_of_several_categories_misses_nothing_while_others_write;
    stays_where_nothing_matches: StaysWhereNothingMatches breaks
        a_merged_cursor_goes_on_where_no_message_matches;
    decides_what_does_not_stand_yet: DecidesWhatDoesNotStandYet breaks
        a_merged_page_past_the_end_decides_nothing;
    takes_the_head_of_the_store: TakesTheHeadOfTheStore breaks
        the_head_of_a_category_is_where_its_last_message_stands;
    counts_the_last_one_handled: CountsTheLastOneHandled breaks
        a_backlog_counts_what_is_behind_a_place;
    counts_without_the_filter: CountsWithoutTheFilter breaks
        a_backlog_counts_what_the_query_holds;
    declares_an_ability_twice: DeclaresAnAbilityTwice breaks
        a_store_names_itself_and_each_ability_once;
    claims_to_be_durable: ClaimsToBeDurable breaks
        a_store_opened_again_has_everything,
        a_store_opened_again_knows_what_was_written;
    claims_to_be_shared: ClaimsToBeShared breaks
        two_openings_see_each_others_writes,
        of_writers_of_two_openings_one_succeeds,
        a_reader_of_another_opening_misses_nothing;
    claims_to_have_transactions: ClaimsToHaveTransactions breaks
        what_is_written_in_a_transaction_is_there_when_it_commits,
        a_transaction_that_does_not_commit_wrote_nothing;
    writes_before_the_commit: WritesBeforeTheCommit breaks
        what_is_written_in_a_transaction_is_there_when_it_commits,
        a_transaction_that_does_not_commit_wrote_nothing,
        a_transaction_dropped_at_any_point_ends;
    commits_nothing: CommitsNothing breaks
        what_is_written_in_a_transaction_is_there_when_it_commits,
        of_transactions_who_expect_one_version_one_commits,
        what_a_transaction_wrote_is_a_repetition_in_another;
    commits_what_is_dropped: CommitsWhatIsDropped breaks
        a_transaction_that_does_not_commit_wrote_nothing,
        a_transaction_dropped_at_any_point_ends;
    ends_at_a_refusal: EndsAtARefusal breaks
        a_refused_write_leaves_the_transaction_usable;
    does_not_see_its_own: DoesNotSeeItsOwn breaks
        a_transaction_sees_what_it_wrote;
    commits_without_a_check: CommitsWithoutACheck breaks
        of_transactions_who_expect_one_version_one_commits;
    takes_a_repetition_for_new: TakesARepetitionForNew breaks
        what_a_transaction_wrote_is_a_repetition_in_another;
    denies_its_leases: DeniesItsLeases breaks
        a_store_has_leases_or_says_that_it_lacks_them;
    keeps_a_group_for_each_member: KeepsAGroupForEachMember breaks
        members_come_to_hold_their_shares,
        what_a_silent_member_held_is_taken_and_it_is_told_so,
        of_members_who_ask_at_once_one_holds_a_bucket,
        what_ran_out_is_taken_by_one_member_alone;
    never_forgets_a_member: NeverForgetsAMember breaks
        what_a_silent_member_held_is_taken_and_it_is_told_so,
        a_member_counts_until_its_time_is_over,
        a_lease_that_nobody_took_is_still_its_holders,
        members_are_listed_with_their_buckets_and_their_time,
        what_ran_out_is_taken_by_one_member_alone;
    forgets_each_member: ForgetsEachMember breaks
        members_come_to_hold_their_shares,
        surplus_is_told_and_held_until_it_is_given_up;
    tells_no_surplus: TellsNoSurplus breaks
        members_come_to_hold_their_shares,
        surplus_is_told_and_held_until_it_is_given_up;
    takes_surplus_away: TakesSurplusAway breaks
        surplus_is_told_and_held_until_it_is_given_up;
    takes_the_highest: TakesTheHighest breaks
        the_lowest_free_buckets_are_taken_up_to_the_share;
    counts_epochs_from_zero: CountsEpochsFromZero breaks
        a_member_alone_holds_every_bucket,
        an_epoch_rises_with_each_holder_and_with_no_renewal;
    takes_a_lease_that_ran_out: TakesALeaseThatRanOut breaks
        a_lease_that_nobody_took_is_still_its_holders;
    releases_for_anyone: ReleasesForAnyone breaks
        what_another_member_holds_cannot_be_given_up;
    releases_nothing: ReleasesNothing breaks
        members_come_to_hold_their_shares,
        a_bucket_that_was_given_up_is_free_at_once;
    leaves_nothing: LeavesNothing breaks
        an_epoch_rises_with_each_holder_and_with_no_renewal,
        who_leaves_frees_every_bucket_at_once;
    takes_any_number_of_buckets: TakesAnyNumberOfBuckets breaks
        another_number_of_buckets_is_refused_by_both_numbers;
    mixes_groups: MixesGroups breaks
        groups_of_other_names_have_other_leases;
    lists_every_label_alike: ListsEveryLabelAlike breaks
        members_are_listed_with_their_buckets_and_their_time;
    renews_before_it_is_polled: RenewsBeforeItIsPolled breaks
        a_dropped_renewal_leaves_the_group_in_order;
    looks_and_takes_in_two_steps: LooksAndTakesInTwoSteps breaks
        of_members_who_ask_at_once_one_holds_a_bucket,
        what_ran_out_is_taken_by_one_member_alone;
}
