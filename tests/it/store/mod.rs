//! The contract suite of all stores, written against the ports. To test another kind of store, implement
//! [`fixture::StoreFixture`] for it and add it to the last lines of this file. Tests of one kind of store have their
//! own file, such as [`sqlite`].

mod alerts;
mod attempt_damage;
mod attempts;
mod audit;
mod changes;
mod conflicts;
mod demo_reports;
mod fixture;
mod guardian_links;
mod histories;
mod hubs;
mod import_profiles;
mod leases;
mod lost_commits;
mod members;
mod outbox;
mod people_hubs;
mod plans;
mod postgres;
mod privacy;
mod provider_sign_ins;
mod schedule_feeds;
mod sign_ins;
mod sqlite;
mod students;
mod suite;
mod transfer;

/// Defines the tests of some suites for one kind of store.
macro_rules! store_contract {
    ($name:ident, $fixture:ty: $($suite:ident: $($test:ident)*;)*) => {
        mod $name {
            $($(#[test]
            fn $test() {
                crate::store::$suite::$test::<$fixture>();
            })*)*
        }
    };
}

/// Lists the tests of the ports for terms, registrations, attempts, imports, the outbox, leases and facts.
macro_rules! registration_ports {
    ($name:ident = $fixture:ty) => {
        store_contract! { $name, $fixture:
            suite:
            confirmed_commands_survive_reopening
            offers_survive_reopening_and_lapse_afterward
            waitlist_choices_survive_reopening
            the_order_of_a_waitlist_survives_reopening
            a_loaded_term_equals_the_published_one
            a_batch_is_atomic
            a_refused_batch_does_not_affect_another_term
            the_seat_sequence_grows_by_one_per_change
            an_unknown_term_loads_empty_and_closed
            a_batch_decided_on_a_stale_state_is_not_written
            a_character_that_a_store_rejects_does_not_fail_the_batch
            commands_of_a_batch_see_the_changes_before_them
            staged_sections_are_invisible_until_they_are_applied
            staged_sections_never_applied_are_discarded
            pruning_replaced_sections_changes_nothing_visible
            edits_made_while_an_import_was_staged_are_kept
            edits_are_kept_when_a_registration_shares_the_batch;
            changes:
            changes_since_a_sequence_are_those_of_later_commits
            staged_sections_change_when_they_are_applied
            changes_survive_reopening
            a_refused_batch_adds_no_changes
            an_unknown_term_has_no_changes;
            attempts:
            every_decision_is_an_attempt_of_the_same_commit
            a_refused_batch_leaves_the_chain_as_it_was
            a_loaded_chain_is_continued
            histories_are_read_backward_in_pages
            old_attempts_are_deleted_and_the_rest_stays_verifiable;
            outbox:
            each_section_of_a_commit_is_marked_once
            a_roster_change_with_equal_counts_is_marked
            uncommitted_changes_are_not_marked
            an_entry_is_read_with_its_section_item_and_roster
            an_entry_is_deleted_only_in_the_version_that_was_sent
            creation_fields_are_kept_until_the_item_is_known
            a_failed_entry_is_due_at_its_retry_time
            a_refused_entry_waits_for_a_change_or_a_resend
            entries_with_an_item_are_due_first
            entries_in_flight_are_not_returned_again
            entries_of_a_deleted_item_are_removed
            a_pull_during_a_write_keeps_the_fields_it_read
            a_write_during_a_pull_keeps_the_fields_it_wrote
            items_and_notes_are_read_back_unchanged
            unknown_sections_are_not_marked
            marks_survive_reopening
            enabling_the_outbox_marks_every_section
            staged_sections_are_not_marked_before_applying
            applied_imports_are_marked_in_chunks
            without_schedule_writes_only_sections_with_items_are_marked;
            leases:
            a_hub_renews_its_lease_and_writes_under_it;
            students:
            students_are_found_by_words_of_their_names
            facts_are_loaded_with_every_term
            facts_are_stored_without_a_term
            a_refused_batch_stores_no_facts
            changed_facts_are_in_the_changes_of_a_term
            windows_of_groups_are_stored_with_their_term;
            histories:
            generated_histories_agree_with_a_term_in_memory;
        }
    };
}

/// Lists the tests of the other ports, most of them for data of people: accounts, sign-ins, alerts, audit, plans.
macro_rules! people_ports {
    ($name:ident = $fixture:ty) => {
        store_contract! { $name, $fixture:
            suite:
            alerts_are_stored_with_their_batch
            a_refused_batch_stores_no_alert;
            attempts:
            an_erased_person_is_in_no_attempt
            audit_entries_are_stored_with_their_change;
            alerts:
            readers_see_alerts_for_everyone_their_role_or_their_name
            a_cancellation_is_announced_once_to_the_alerts_recipients
            public_alerts_are_listed_with_their_messages
            cap_messages_are_carried_out_once
            a_correction_reaches_new_students_and_ends_acknowledgements
            a_scheduled_alert_is_corrected_in_all_parts
            a_scheduled_alert_is_sent_when_due_unless_cancelled
            a_scheduled_alert_that_expired_before_it_was_sent_is_cancelled
            scheduled_alerts_are_sent_soonest_first_and_in_parts
            a_position_ahead_of_the_sequence_gets_everything_stored
            active_alerts_were_sent_and_are_not_expired_or_cancelled
            deleting_old_entries_leaves_no_gap_and_keeps_the_sequence
            people_in_an_audience_are_known_enrolled_or_named_users
            recipients_are_resolved_when_an_alert_is_sent
            acknowledgements_are_counted_once_and_only_from_recipients;
            audit:
            audit_entries_are_found_by_their_fields_and_words
            details_are_stored_with_their_codes
            free_text_may_contain_any_character;
            members:
            a_member_is_read_back_unchanged
            a_member_is_found_by_last_login_and_by_username
            a_password_hash_is_stored_for_the_latest_sign_in_only
            tokens_and_hashes_are_removed_separately
            tokens_are_replaced_in_one_commit
            ended_sign_ins_outlive_the_member
            unusual_names_are_non_ascii_names_and_path_names
            users_are_listed_with_the_limit_of_their_last_sign_in
            an_account_keeps_its_limit_while_it_is_not_staff;
            privacy:
            a_reader_below_staff_gets_only_visible_parts_of_alerts
            disclosures_are_listed_to_each_person_whom_they_name
            old_audit_entries_are_deleted_with_their_people
            the_stored_data_about_a_person_is_exported
            an_erased_person_is_replaced_by_the_pseudonym
            other_resources_with_the_name_of_a_person_are_kept;
            sign_ins:
            sign_ins_are_read_back_and_expire
            a_password_change_keeps_one_token_until_a_later_end
            steps_and_recovery_codes_are_used_once;
            provider_sign_ins:
            a_username_belongs_to_one_person
            sign_ins_are_selected_by_person_and_session
            issuers_are_adopted_once;
            guardian_links:
            links_are_read_back_until_they_expire_or_are_removed
            links_end_when_their_user_is_removed;
            plans:
            plans_are_replaced_and_removed_by_name
            the_number_of_plans_of_a_student_is_limited
            the_plans_for_a_term_are_read_together;
            schedule_feeds:
            a_student_has_one_feed_until_it_is_removed
            feeds_end_when_their_user_is_removed_or_erased;
            import_profiles:
            profiles_are_replaced_and_removed_by_name
            the_number_of_profiles_is_limited;
            demo_reports:
            reports_are_read_back_until_they_are_removed
            only_the_newest_reports_are_kept;
        }
    };
}

registration_ports!(embedded = crate::store::fixture::Embedded);
registration_ports!(shared = crate::store::postgres::Shared);
// A selection: the other tests execute statements of the same kinds.
store_contract! { pooled, crate::store::postgres::Pooled:
    suite:
    confirmed_commands_survive_reopening
    a_loaded_term_equals_the_published_one
    a_batch_is_atomic
    a_refused_batch_does_not_affect_another_term
    a_batch_decided_on_a_stale_state_is_not_written
    edits_are_kept_when_a_registration_shares_the_batch
    alerts_are_stored_with_their_batch;
    changes:
    changes_since_a_sequence_are_those_of_later_commits;
    attempts:
    a_loaded_chain_is_continued
    histories_are_read_backward_in_pages;
    outbox:
    marks_survive_reopening
    applied_imports_are_marked_in_chunks;
    leases:
    a_hub_renews_its_lease_and_writes_under_it;
    members:
    a_member_is_read_back_unchanged
    tokens_are_replaced_in_one_commit;
    privacy:
    an_erased_person_is_replaced_by_the_pseudonym;
    alerts:
    recipients_are_resolved_when_an_alert_is_sent
    acknowledgements_are_counted_once_and_only_from_recipients;
    audit:
    audit_entries_are_found_by_their_fields_and_words;
    sign_ins:
    steps_and_recovery_codes_are_used_once;
    guardian_links:
    links_are_read_back_until_they_expire_or_are_removed;
    import_profiles:
    profiles_are_replaced_and_removed_by_name;
}
people_ports!(embedded_people = crate::store::fixture::Embedded);
people_ports!(shared_people = crate::store::postgres::Shared);
