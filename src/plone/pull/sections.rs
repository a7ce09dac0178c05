//! Sections of Plone become sections of the hub.
//!
//! A pull may end anywhere, by a fault of Plone or by the hub's own end, and nothing is lost or done twice: what it does
//! is found by comparing values, and what it knows is written down in this order. An item of a *new* section is put
//! before its section is made: from the first commit on, the outbox knows which item it is, and makes no second one. If
//! it ends between the two, the section is still missing, and is made by the next pull. An item whose section *changed*
//! is put after the change is committed: if it ends between, the next pull finds that Plone and the hub agree. (The
//! other way round, the hub's old value would look like a change made in the hub, and be written back to Plone.) And an
//! item that the outbox has written since the pull began is not put at all: it is read again by the next pull.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::command::{Command, EDITS_MAX, SectionEdit, TermPatch};
use crate::domain::fields::SectionField;
use crate::domain::ids::{SectionId, TermId};
use crate::domain::section::Section;
use crate::plone::format::section;
use crate::plone::port::{ContentKind, Hit, PloneSection, Viewer};
use crate::registration::registrar::SubmitError;
use crate::store::outbox::PloneItem;

use crate::plone::pull::compare::compare;
use crate::plone::pull::known::{Known, left_behind};
use crate::plone::pull::listing::{Listing, everything};
use crate::plone::pull::reading::{Unreadable, read_all};
use crate::plone::pull::status::Found;
use crate::plone::pull::{PullDeps, PullError, PullOptions};

/// Items that are read before what was read is applied.
const CHUNK_LEN: usize = 100;
/// How often a registrar that is busy is asked again, and after how long: it has students to serve.
const TRIES_MAX: u32 = 20;
const TRY_PAUSE: Duration = Duration::from_millis(250);

/// What is known of sections from one pull to the next.
pub(super) struct Sections {
    listing: Listing,
    unreadable: Unreadable,
    /// Items that are in Plone, and that visitors do not see.
    hidden: HashSet<String>,
    missing_fields: Vec<SectionField>,
}

/// What is to be done about some items.
#[derive(Default)]
struct Work {
    /// Items that are to be known before the hub's sections change.
    before: Vec<(Option<PloneItem>, PloneItem)>,
    /// Items that are to be known afterwards.
    after: Vec<(Option<PloneItem>, PloneItem)>,
    edits: BTreeMap<TermId, Vec<SectionEdit>>,
    /// Sections of which Plone has something otherwise that is the hub's to say.
    marks: Vec<SectionId>,
}

impl Work {
    fn edit(&mut self, edit: SectionEdit) {
        self.edits.entry(edit.wanted.id.term.clone()).or_default().push(edit);
    }

    /// Withdraws a section, if the hub has it and shows it.
    fn withdraw(&mut self, deps: &PullDeps, id: &SectionId, found: &mut Found) {
        let Some((row, _)) = deps.model.section(id) else { return };
        if row.state.section.withdrawn {
            return;
        }
        let mut wanted = (*row.state.section).clone();
        wanted.withdrawn = true;
        self.edit(SectionEdit { seen: Some(row.state.section), wanted: Arc::new(wanted) });
        found.counts.withdrawn += 1;
    }

    /// Does it, in the order that this module promises.
    async fn apply(self, deps: &PullDeps, options: PullOptions) -> Result<(), PullError> {
        if !self.before.is_empty() {
            deps.items.put_pulled(self.before).await?;
        }
        for (term, edits) in self.edits {
            if options.open_new_terms && deps.model.term(&term).is_none() {
                let opens_at = Some(Some(deps.clock.now()));
                ask(deps, &term, || Command::PutTerm(TermPatch { opens_at, ..TermPatch::default() })).await?;
            }
            for some in edits.chunks(EDITS_MAX) {
                let some: Arc<[SectionEdit]> = some.into();
                ask(deps, &term, || Command::PutSections(some.clone())).await?;
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

/// Asks a registrar, and again while it is busy. Whether a command of unknown outcome holds is found by the next pull.
async fn ask(deps: &PullDeps, term: &TermId, command: impl Fn() -> Command) -> Result<(), SubmitError> {
    for _ in 0..TRIES_MAX {
        match deps.pool.submit_or_create(term.clone(), command()).await {
            Ok(_) => return Ok(()),
            Err(SubmitError::Overloaded) => actix::clock::sleep(TRY_PAUSE).await,
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

    /// Pulls what changed.
    pub(super) async fn pull(
        &mut self,
        deps: &PullDeps,
        options: PullOptions,
        whole: bool,
        found: &mut Found,
    ) -> Result<(), PullError> {
        // What the hub itself makes in Plone meanwhile is not among these, and so is not missed in the list.
        let mut known = Known::new(deps.items.items().await?);
        let is_whole = self.listing.refresh(&deps.plone, whole, found).await?;
        self.unreadable.retain_listed(&self.listing);
        let hits = self.listing.hits();
        let mut to_read = Vec::new();
        for hit in &hits {
            match self.unreadable.reason(hit).filter(|_| !self.listing.is_fresh(hit)) {
                Some(reason) => found.problem(&hit.path, reason),
                None if self.is_to_be_read(hit, &known, deps) => to_read.push(hit.clone()),
                None => {}
            }
        }
        for chunk in to_read.chunks(CHUNK_LEN) {
            let read = read_all(chunk, |hit| deps.plone.section(&hit.path), found).await?;
            let read = without_what_the_hub_made(read, &mut known, deps).await?;
            self.work(read, &mut known, deps, found).apply(deps, options).await?;
        }
        if is_whole {
            self.withdraw_what_is_gone(&known, deps, options, found).await?;
        }
        let counts = &mut found.counts;
        counts.sections = self.listing.len() as u64;
        counts.unchanged = counts.sections.saturating_sub(counts.created + counts.updated + counts.skipped);
        Ok(())
    }

    /// Whether an item may say something that the hub does not know.
    fn is_to_be_read(&self, hit: &Hit, known: &Known, deps: &PullDeps) -> bool {
        let Some(item) = known.by_uid(&hit.uid) else { return true };
        let section = deps.model.section(&item.section);
        item.modified != hit.modified
            || item.path != hit.path
            || item.deleted
            || self.listing.is_fresh(hit)
            || section.is_none_or(|(row, _)| row.state.section.withdrawn)
    }

    /// What is to be done about items that were read.
    fn work(&mut self, read: Vec<(Hit, PloneSection)>, known: &mut Known, deps: &PullDeps, found: &mut Found) -> Work {
        let mut work = Work::default();
        let mut readable = Vec::with_capacity(read.len());
        let mut left = Vec::new();
        // First all of them give up what they no longer are: two may have exchanged their numbers.
        for (hit, item) in read.into_iter().filter(|(hit, item)| hit.uid == item.uid) {
            self.listing.was_read(&hit);
            self.look_for_missing_fields(&item, found);
            let fields = section::canonical(&item.fields);
            match fields.and_then(|fields| Ok((section::read(&fields)?, fields))) {
                // What a demonstration made in Plone for itself, and removes.
                Ok((section, _)) if section.id.term.is_sandbox() => {}
                Ok((section, fields)) => {
                    self.unreadable.remove(&hit);
                    left.extend(known.release(&hit.uid, &section.id));
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
                    found.problem(&hit.path, bad.to_string());
                    self.unreadable.put(&hit, bad.to_string());
                }
            }
        }
        for (item, section) in readable {
            match known.claim(&item.uid, &item.section, &self.listing) {
                Ok(()) => take(item, section, known, deps, found, &mut work),
                Err(other) => found.problem(&item.path, format!("{other} has this term and CRN already")),
            }
        }
        // A section that is no item's any more was deleted, as far as the hub can tell.
        for item in left.iter().filter(|item| !known.has(&item.section)) {
            work.before.insert(0, known.pulled(left_behind(item)));
            work.withdraw(deps, &item.section, found);
        }
        work
    }

    /// Tells once which fields the college's type does not have.
    fn look_for_missing_fields(&mut self, item: &PloneSection, found: &mut Found) {
        let missing: Vec<SectionField> =
            SectionField::ALL.iter().copied().filter(|field| !item.fields.contains_key(field)).collect();
        if missing != self.missing_fields {
            let names: Vec<&str> = missing.iter().map(|field| field.as_str()).collect();
            log::warn!("the section type of Plone lacks fields, which are left out: {}", names.join(", "));
            self.missing_fields.clone_from(&missing);
        }
        found.missing_fields = Some(missing);
    }

    /// Withdraws the sections of items that visitors do not see any more, and learns which of these are deleted.
    async fn withdraw_what_is_gone(
        &mut self,
        known: &Known,
        deps: &PullDeps,
        options: PullOptions,
        found: &mut Found,
    ) -> Result<(), PullError> {
        self.hidden.retain(|uid| !self.listing.shows(uid));
        let is_shown_here =
            |item: &PloneItem| deps.model.section(&item.section).is_some_and(|(row, _)| !row.state.section.withdrawn);
        let gone: Vec<&PloneItem> = known
            .items()
            .filter(|item| !self.listing.shows(&item.uid))
            .filter(|item| is_shown_here(item) || !(item.deleted || self.hidden.contains(&item.uid)))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let all = everything(&deps.plone, &Viewer::Hub, ContentKind::Section).await?;
        if all.unreadable > 0 {
            // What is not among the others may be one of these.
            return Ok(());
        }
        let all = all.by_uid();
        let mut work = Work::default();
        for item in gone {
            work.withdraw(deps, &item.section, found);
            let after = match all.get(&item.uid) {
                Some(hit) => {
                    self.hidden.insert(item.uid.clone());
                    // What is changed while nobody sees it is read when it is shown again.
                    PloneItem { path: hit.path.clone(), deleted: false, ..item.clone() }
                }
                None => PloneItem { deleted: true, ..item.clone() },
            };
            if after != *item {
                work.after.push(known.pulled(after));
            }
        }
        work.apply(deps, options).await
    }
}

/// Leaves to the next pull what the hub itself has made in Plone since this one began: what was written to it is not
/// among what is known here, and would be taken for an edit made in Plone. Where it is not known yet whether the hub
/// made it, what it was to be made with is learned.
async fn without_what_the_hub_made(
    mut read: Vec<(Hit, PloneSection)>,
    known: &mut Known,
    deps: &PullDeps,
) -> Result<Vec<(Hit, PloneSection)>, PullError> {
    if read.iter().any(|(hit, _)| known.by_uid(&hit.uid).is_none()) {
        // In this order: an item that is put in between is among those that were made.
        known.creations = deps.items.creations().await?;
        let made: HashSet<String> = deps.items.items().await?.into_iter().map(|item| item.uid).collect();
        read.retain(|(hit, _)| known.by_uid(&hit.uid).is_some() || !made.contains(&hit.uid));
    }
    Ok(read)
}

/// What is to be done about one item that can be read.
fn take(item: PloneItem, section: Section, known: &mut Known, deps: &PullDeps, found: &mut Found, work: &mut Work) {
    let is_known = known.by_uid(&item.uid) == Some(&item);
    match deps.model.section(&item.section) {
        None => {
            found.counts.created += 1;
            work.edit(SectionEdit { seen: None, wanted: Arc::new(section) });
            if !is_known {
                work.before.push(known.pulled(item.clone()));
            }
        }
        Some((row, _)) => {
            let last = known.last(&item.uid, &item.section);
            let compared = compare(&item.fields, &section, last, &row.state);
            if let Some(edit) = compared.edit {
                found.counts.updated += 1;
                work.edit(edit);
            }
            if compared.to_write {
                found.counts.rewritten += 1;
                work.marks.push(item.section.clone());
            }
            if !is_known {
                work.after.push(known.pulled(item.clone()));
            }
        }
    }
    known.put(item);
}
