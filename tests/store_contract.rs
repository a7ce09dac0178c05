//! What every store promises. One suite over the ports: a store joins it with a `House` of its own and one line at the
//! end. What only one kind of store has to do is tested in a file of its own.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "store_contract/changes.rs"]
mod changes;
mod college;
#[path = "store_contract/histories.rs"]
mod histories;
#[path = "model/history.rs"]
#[allow(dead_code)]
mod history;
#[path = "store_contract/house.rs"]
mod house;
#[path = "store_contract/members.rs"]
mod members;
#[path = "store_contract/outbox.rs"]
mod outbox;
#[path = "store_contract/sqlite.rs"]
mod sqlite;
#[path = "store_contract/suite.rs"]
mod suite;

/// The suite for one kind of store.
macro_rules! store_contract {
    ($name:ident, $house:ty: $($suite:ident: $($promise:ident)*;)*) => {
        mod $name {
            $($(#[test]
            fn $promise() {
                crate::$suite::$promise::<$house>();
            })*)*

            #[test]
            fn generated_histories_end_in_the_store_as_they_end_in_memory() {
                crate::histories::play_all::<$house>();
            }
        }
    };
}

/// Every promise of [`suite`], [`changes`], [`outbox`] and [`members`], for each kind of store.
macro_rules! stores {
    ($($name:ident = $house:ty),*) => {
        $(store_contract! { $name, $house:
            suite:
            what_was_answered_is_there_in_a_store_opened_anew
            what_is_loaded_anew_is_what_was_published
            a_batch_is_kept_whole_or_not_at_all
            a_refused_batch_takes_nothing_of_another_term_with_it
            the_sequence_of_seats_grows_by_one_a_change_and_never_goes_back
            a_term_that_was_never_made_loads_empty_and_closed
            a_batch_decided_on_an_old_state_is_never_written
            each_command_of_a_batch_sees_what_the_ones_before_it_changed
            staged_sections_are_invisible_until_they_are_applied
            what_was_staged_and_never_applied_is_taken_back_before_the_next_import
            sections_that_an_import_replaced_are_pruned_and_stay_as_they_are
            what_moved_while_an_import_was_staged_is_kept_when_it_is_applied
            what_moved_is_kept_too_when_somebody_registers_in_the_same_batch
            alerts_are_stored_with_the_batch_that_they_tell_of
            a_refused_batch_tells_nobody_anything;
            changes:
            changes_since_a_sequence_are_those_of_the_later_commits
            an_import_changes_its_sections_when_it_is_applied
            changes_are_the_same_after_the_store_was_opened_again
            a_rejected_record_is_in_no_changes
            a_term_that_does_not_exist_has_no_changes;
            outbox:
            every_section_that_a_commit_touches_is_marked_once
            a_roster_that_changes_with_equal_numbers_is_marked
            what_was_not_committed_is_not_marked
            an_entry_is_read_with_what_belongs_to_it
            an_entry_ends_only_in_the_version_that_was_sent
            what_a_section_was_first_to_be_made_with_is_known_until_its_item_is
            what_failed_is_due_when_its_time_comes
            what_was_refused_waits_for_a_change_or_for_staff
            sections_with_an_item_come_before_those_without
            what_is_being_sent_is_not_handed_out_again
            what_waits_for_a_deleted_item_ends
            what_a_pull_read_while_it_was_written_stays
            what_was_written_while_a_pull_read_it_stays
            items_and_notes_come_back_as_they_were_put
            a_section_that_does_not_exist_is_not_marked
            marks_survive_the_end_of_the_process
            a_store_that_had_no_outbox_begins_with_everything
            what_an_import_stages_is_not_marked_before_it_is_applied
            what_an_import_changed_is_marked_bit_by_bit_after_it_is_visible
            where_schedules_are_not_written_only_sections_with_an_item_are_marked_of_an_import;
            members:
            a_member_comes_back_as_it_was_put
            a_member_is_found_by_the_last_login_and_by_the_user_name
            a_hash_belongs_to_the_sign_in_that_it_was_made_of
            what_is_forgotten_of_a_member_is_gone
            the_end_of_sign_ins_outlives_the_member;
        })*
    };
}

stores!(embedded = crate::house::Embedded);
