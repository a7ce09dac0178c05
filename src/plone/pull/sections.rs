//! Pulls Plone's sections into the hub.
//!
//! A pull may be interrupted at any point, by a failure of Plone or by a stop of the hub. Nothing is lost or done
//! twice, because it compares values and stores items in this order:
//!
//! - The item of a *new* section is stored before the section is created, so that the outbox knows the item from the
//!   first commit on and does not create a second one. If the pull is interrupted in between, the next pull creates the
//!   section.
//! - The item of a *changed* section is stored after the change is committed. If the pull is interrupted in between,
//!   the next pull finds equal values. In the opposite order, the hub's old value would look like a change made in the
//!   hub, and would be written back to Plone.
//!   The outbox reads no section in between, for the same reason (see [`PullGate`](crate::plone::pull_gate::PullGate)).
//! - An item that the outbox has written since the pull started is not stored. The next pull reads it again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::command::{Command, EDITS_MAX, SectionEdit, TermPatch};
use crate::domain::fields::SectionField;
use crate::domain::ids::{SectionId, TermId};
use crate::domain::section::Section;
use crate::plone::format::section;
use crate::plone::port::{ContentKind, Hit, PloneSection, Viewer};
use crate::plone::problem::ItemProblem;
use crate::registration::registrar::SubmitError;
use crate::registration::submitted::Submitted;
use crate::store::outbox::PloneItem;

use crate::plone::pull::compare::compare;
use crate::plone::pull::items::{KnownItems, tombstone};
use crate::plone::pull::listing::{Listing, list_all};
use crate::plone::pull::reading::{Unreadable, read_all};
use crate::plone::pull::status::PullFindings;
use crate::plone::pull::{PullDeps, PullError, PullOptions};

/// Number of items that are read and applied together.
const CHUNK_LEN: usize = 100;
/// Number of attempts to send a command to an overloaded registrar. Students' commands have priority.
const ATTEMPTS_MAX: u32 = 20;
/// Pause between two of these attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(250);

/// State of the pull of sections.
pub(super) struct Sections {
    listing: Listing,
    unreadable: Unreadable,
    /// UIDs of items that exist in Plone but are not visible to visitors.
    hidden: HashSet<String>,
    missing_fields: Vec<SectionField>,
}

/// Changes that result from a chunk of items. Each item is paired with the one that the store had when the pull
/// started.
#[derive(Default)]
struct Changes {
    /// Items to store before the edits are applied.
    before: Vec<(Option<PloneItem>, PloneItem)>,
    /// Items to store after the edits are applied.
    after: Vec<(Option<PloneItem>, PloneItem)>,
    edits: BTreeMap<TermId, Vec<SectionEdit>>,
    /// Sections that must be written to Plone again.
    marks: Vec<SectionId>,
}

impl Changes {
    fn edit(&mut self, edit: SectionEdit) {
        self.edits.entry(edit.target.id.term.clone()).or_default().push(edit);
    }

    /// Adds the withdrawal of a section, unless the hub does not have it or has already withdrawn it.
    fn withdraw(&mut self, deps: &PullDeps, id: &SectionId, found: &mut PullFindings) {
        let Some((row, _)) = deps.model.section(id) else { return };
        if row.state.section.withdrawn {
            return;
        }
        let mut withdrawn = (*row.state.section).clone();
        withdrawn.withdrawn = true;
        self.edit(SectionEdit { base: Some(row.state.section), target: Arc::new(withdrawn) });
        found.counts.withdrawn += 1;
    }

    /// Applies the changes, in the order described for the [module](self).
    async fn apply(self, deps: &PullDeps, options: PullOptions) -> Result<(), PullError> {
        let _applying = deps.gate.apply();
        if !self.before.is_empty() {
            deps.items.put_pulled(self.before).await?;
        }
        for (term, edits) in self.edits {
            if options.open_new_terms && deps.model.term(&term).is_none() {
                let opens_at = Some(Some(deps.clock.now()));
                send(deps, &term, || Command::PutTerm(TermPatch { opens_at, ..TermPatch::default() })).await?;
            }
            for some in edits.chunks(EDITS_MAX) {
                let some: Arc<[SectionEdit]> = some.into();
                send(deps, &term, || Command::PutSections(some.clone())).await?;
            }
        }
        if !self.after.is_empty() {
            deps.items.put_pulled(self.after).await?;
        }
        if !self.marks.is_empty() {
            deps.items.mark(self.marks, deps.clock.now()).await?;
        }
        Ok(())
    }
}

/// Sends a command to a registrar, and retries while the registrar is overloaded and this hub leads. If the outcome of
/// a command is unknown, the next pull finds out whether it was applied.
async fn send(deps: &PullDeps, term: &TermId, command: impl Fn() -> Command) -> Result<(), SubmitError> {
    for _ in 0..ATTEMPTS_MAX {
        if !deps.tenure.is_current() {
            break;
        }
        let command = Submitted::by_leader(command(), deps.tenure.fence);
        match deps.pool.submit_or_create(term.clone(), command).await {
            Ok(_) => return Ok(()),
            Err(SubmitError::Overloaded) => actix::clock::sleep(ATTEMPT_PAUSE).await,
            Err(error) => return Err(error),
        }
    }
    Err(SubmitError::Overloaded)
}

impl Sections {
    pub(super) fn new(every: Duration) -> Self {
        Self {
            listing: Listing::new(ContentKind::Section, every),
            unreadable: Unreadable::default(),
            hidden: HashSet::new(),
            missing_fields: Vec::new(),
        }
    }

    /// Pulls changed sections. With `full`, lists all sections first.
    pub(super) async fn pull(
        &mut self,
        deps: &PullDeps,
        options: PullOptions,
        full: bool,
        found: &mut PullFindings,
    ) -> Result<(), PullError> {
        // Loaded before the listing, so that items that the outbox creates in between do not count as missing in it.
        let mut known = KnownItems::new(deps.items.items().await?);
        let is_complete = self.listing.refresh(&deps.plone, full, found).await?;
        self.unreadable.retain_listed(&self.listing);
        let hits = self.listing.hits();
        let mut to_read = Vec::new();
        for hit in &hits {
            match self.unreadable.reason(hit).filter(|_| !self.listing.may_have_changed(hit)) {
                Some(reason) => found.problem(&hit.path, reason.clone()),
                None if self.must_read(hit, &known, deps) => to_read.push(hit.clone()),
                None => {}
            }
        }
        for chunk in to_read.chunks(CHUNK_LEN) {
            let read = read_all(chunk, |hit| deps.plone.section(&hit.path), found).await?;
            let read = without_items_created_by_the_hub(read, &mut known, deps).await?;
            self.changes(read, &mut known, deps, found).apply(deps, options).await?;
        }
        if is_complete {
            self.withdraw_missing(&known, deps, options, found).await?;
        }
        let counts = &mut found.counts;
        counts.sections = self.listing.len() as u64;
        counts.unchanged = counts.sections.saturating_sub(counts.created + counts.updated + counts.skipped);
        Ok(())
    }

    /// Returns true if an item must be read: it is new, it may have changed since it was last read, or the hub does not
    /// show its section.
    fn must_read(&self, hit: &Hit, known: &KnownItems, deps: &PullDeps) -> bool {
        let Some(item) = known.by_uid(&hit.uid) else { return true };
        let section = deps.model.section(&item.section);
        item.modified != hit.modified
            || item.path != hit.path
            || item.deleted
            || self.listing.may_have_changed(hit)
            || section.is_none_or(|(row, _)| row.state.section.withdrawn)
    }

    /// Returns the changes that result from the items that were read.
    fn changes(
        &mut self,
        read: Vec<(Hit, PloneSection)>,
        known: &mut KnownItems,
        deps: &PullDeps,
        found: &mut PullFindings,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut readable = Vec::with_capacity(read.len());
        let mut detached = Vec::new();
        // All items are detached before any is attached, because two items may have exchanged their CRNs.
        for (hit, item) in read.into_iter().filter(|(hit, item)| hit.uid == item.uid) {
            self.listing.was_read(&hit);
            self.record_missing_fields(&item, found);
            let fields = section::canonical(&item.fields);
            match fields.and_then(|fields| Ok((section::read(&fields)?, fields))) {
                // A performance demonstration creates this item and removes it again.
                Ok((section, _)) if section.id.term.is_sandbox() => {}
                Ok((section, fields)) => {
                    self.unreadable.remove(&hit);
                    detached.extend(known.detach(&hit.uid, &section.id));
                    let item = PloneItem {
                        section: section.id.clone(),
                        uid: hit.uid,
                        path: hit.path,
                        modified: hit.modified,
                        fields,
                        deleted: false,
                    };
                    readable.push((item, section));
                }
                Err(bad) => {
                    let problem = ItemProblem::field(bad.field, bad.problem);
                    found.problem(&hit.path, problem.clone());
                    self.unreadable.put(&hit, problem);
                }
            }
        }
        for (item, section) in readable {
            match known.attach(&item.uid, &item.section, &self.listing) {
                Ok(()) => add_changes(item, section, known, deps, found, &mut changes),
                Err(other) => found.problem(&item.path, ItemProblem::SameCrn { path: other }),
            }
        }
        // A section that lost its item counts as deleted in Plone.
        for item in detached.iter().filter(|item| !known.has(&item.section)) {
            changes.before.insert(0, known.pulled(tombstone(item)));
            changes.withdraw(deps, &item.section, found);
        }
        changes
    }

    /// Records which fields the college's type lacks, and logs them when they change.
    fn record_missing_fields(&mut self, item: &PloneSection, found: &mut PullFindings) {
        let missing: Vec<SectionField> =
            SectionField::ALL.iter().copied().filter(|field| !item.fields.contains_key(field)).collect();
        if missing != self.missing_fields && missing.is_empty() {
            log::info!("the section type in Plone has all fields now");
        } else if missing != self.missing_fields {
            let names: Vec<&str> = missing.iter().map(|field| field.as_str()).collect();
            log::warn!("the section type in Plone lacks these fields: {}", names.join(", "));
        }
        self.missing_fields.clone_from(&missing);
        found.missing_fields = Some(missing);
    }

    /// Withdraws the sections of items that visitors can no longer see, and records which of these items were deleted.
    async fn withdraw_missing(
        &mut self,
        known: &KnownItems,
        deps: &PullDeps,
        options: PullOptions,
        found: &mut PullFindings,
    ) -> Result<(), PullError> {
        self.hidden.retain(|uid| !self.listing.contains(uid));
        let is_shown_here =
            |item: &PloneItem| deps.model.section(&item.section).is_some_and(|(row, _)| !row.state.section.withdrawn);
        let gone: Vec<&PloneItem> = known
            .items()
            .filter(|item| !self.listing.contains(&item.uid))
            .filter(|item| is_shown_here(item) || !(item.deleted || self.hidden.contains(&item.uid)))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let all = list_all(&deps.plone, &Viewer::Hub, ContentKind::Section).await?;
        if all.unreadable > 0 {
            // An item that seems to be missing may be one of the broken entries.
            return Ok(());
        }
        let all = all.by_uid();
        let mut changes = Changes::default();
        for item in gone {
            changes.withdraw(deps, &item.section, found);
            let after = match all.get(&item.uid) {
                Some(hit) => {
                    self.hidden.insert(item.uid.clone());
                    // Changes to a hidden item are applied when it becomes visible again.
                    PloneItem { path: hit.path.clone(), deleted: false, ..item.clone() }
                }
                None => PloneItem { deleted: true, ..item.clone() },
            };
            if after != *item {
                changes.after.push(known.pulled(after));
            }
        }
        changes.apply(deps, options).await
    }
}

/// Removes items that the outbox has created since the pull started. This pull does not know the fields that the outbox
/// wrote, which would look like edits made in Plone. The next pull reads these items. Also loads the fields of sections
/// that the outbox is creating, because the created items may already be visible.
async fn without_items_created_by_the_hub(
    mut read: Vec<(Hit, PloneSection)>,
    known: &mut KnownItems,
    deps: &PullDeps,
) -> Result<Vec<(Hit, PloneSection)>, PullError> {
    if read.iter().any(|(hit, _)| known.by_uid(&hit.uid).is_none()) {
        // The order matters: an item that is stored between the two reads must be in one of the results.
        known.creations = deps.items.creations().await?;
        let created: HashSet<String> = deps.items.items().await?.into_iter().map(|item| item.uid).collect();
        read.retain(|(hit, _)| known.by_uid(&hit.uid).is_some() || !created.contains(&hit.uid));
    }
    Ok(read)
}

/// Adds the changes that result from one readable item.
fn add_changes(
    item: PloneItem,
    section: Section,
    known: &mut KnownItems,
    deps: &PullDeps,
    found: &mut PullFindings,
    changes: &mut Changes,
) {
    let is_known = known.by_uid(&item.uid) == Some(&item);
    match deps.model.section(&item.section) {
        None => {
            found.counts.created += 1;
            changes.edit(SectionEdit { base: None, target: Arc::new(section) });
            if !is_known {
                changes.before.push(known.pulled(item.clone()));
            }
        }
        Some((row, _)) => {
            let last = known.last(&item.uid, &item.section);
            let compared = compare(&item.fields, &section, last, &row.state);
            if let Some(edit) = compared.edit {
                found.counts.updated += 1;
                changes.edit(edit);
            }
            if compared.to_write {
                found.counts.rewritten += 1;
                changes.marks.push(item.section.clone());
            }
            if !is_known {
                changes.after.push(known.pulled(item.clone()));
            }
        }
    }
    known.put(item);
}
