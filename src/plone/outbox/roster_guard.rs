//! The roster guard: students' names are written to Plone only while neither visitors nor plain members can read them.
//! To find that out, the guard reads rosters in Plone as a visitor and as the plain member who signed in most recently,
//! at the start of each tenure and then regularly.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::domain::audit_detail::AuditDetail;
use crate::domain::fields::{FieldValue, SectionField};
use crate::domain::ids::{SectionId, UserName};
use crate::plone::port::{BridgeError, ContentKind, PloneError, Viewer};
use crate::plone::sign_in::PlainMember;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::outbox::PloneItem;

use crate::plone::outbox::deps::{OutboxDeps, OutboxOptions};
use crate::plone::outbox::desired_state::Names;
use crate::plone::outbox::status::{OutboxGauge, RosterState};

/// Name of the note with the findings.
const NOTE: &str = "roster_guard";
/// Number of sections that are read as each viewer. Read permissions belong to the type, but single items may have
/// different ones.
const SAMPLE_LEN: usize = 3;
/// Number of sections that are marked in one commit, so that registrations can commit in between.
const MARK_CHUNK: usize = 200;

/// Findings that are stored for later tenures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredFindings {
    /// Identifies the roster field: site, section type and name of the field.
    field: String,
    /// The member of the last check as a member; `None` before the first one.
    member: Option<String>,
    /// True if that member could read the field.
    member_can_read: bool,
    /// True if names may be missing in Plone because they were withheld.
    #[serde(rename = "behind")]
    needs_backfill: bool,
}

/// Findings about who can read rosters.
#[derive(Default)]
struct Findings {
    /// True if visitors can read them; `None` if this is unknown in this tenure.
    visitor_can_read: Option<bool>,
    /// True if the last check as a member failed, so that an earlier finding may be outdated.
    is_uncertain: bool,
    stored: StoredFindings,
}

impl Findings {
    fn state(&self) -> RosterState {
        match (self.visitor_can_read, &self.stored.member) {
            (Some(true), _) => RosterState::Readable("visitor".to_owned()),
            (_, Some(member)) if self.stored.member_can_read => RosterState::Readable(member.clone()),
            (Some(false), Some(_)) if !self.is_uncertain => RosterState::Protected,
            _ => RosterState::Unchecked,
        }
    }
}

/// The guard, which finds out who can read rosters in Plone. See the [module](self).
pub(super) struct RosterGuard {
    deps: OutboxDeps,
    options: OutboxOptions,
    gauge: Arc<OutboxGauge>,
    findings: Mutex<Findings>,
}

impl RosterGuard {
    /// Loads the findings of earlier tenures.
    pub(super) async fn load(
        deps: &OutboxDeps,
        options: &OutboxOptions,
        gauge: &Arc<OutboxGauge>,
    ) -> Result<Arc<Self>, StoreError> {
        let note = deps.store.note(NOTE).await?;
        let stored: Option<StoredFindings> = note.and_then(|note| serde_json::from_str(&note).ok());
        let field = options.roster_field.clone();
        // Findings about another field do not apply, and the rosters of this field may lack names.
        let fresh = StoredFindings { field: field.clone(), needs_backfill: true, ..StoredFindings::default() };
        let stored = stored.filter(|stored| stored.field == field).unwrap_or(fresh);
        let findings = Mutex::new(Findings { stored, ..Findings::default() });
        Ok(Arc::new(Self { deps: deps.clone(), options: options.clone(), gauge: gauge.clone(), findings }))
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock()
    }

    /// Returns the current state.
    pub(super) fn state(&self) -> RosterState {
        self.gauge.roster()
    }

    /// Records how names were handled for a section, so that withheld names can be backfilled.
    pub(super) async fn note_names(&self, names: Names) {
        if names == Names::Written {
            return;
        }
        {
            let mut findings = self.findings();
            if findings.stored.needs_backfill {
                return;
            }
            findings.stored.needs_backfill = true;
        }
        if let Err(error) = self.save().await {
            log::warn!("could not store that names were withheld from Plone: {error}");
        }
    }

    /// Checks immediately and then regularly, until the tenure ends or the outbox is stopped.
    pub(super) async fn run(
        self: Arc<Self>,
        mut plain_member: watch::Receiver<PlainMember>,
        mut stopping: watch::Receiver<bool>,
    ) {
        loop {
            let member = plain_member.borrow_and_update().clone();
            if let Err(error) = self.check(member).await {
                log::info!("could not check who can read rosters in Plone: {error}");
            }
            // The first member who signs in triggers a check. Later members are used in the next regular check.
            let awaits_member = self.findings().stored.member.is_none();
            tokio::select! {
                () = sleep(self.options.check_every) => {}
                Ok(()) = plain_member.changed(), if awaits_member => {}
                _ = stopping.changed() => return,
            }
        }
    }

    async fn save(&self) -> Result<(), StoreError> {
        // Serializing text and flags never fails.
        let stored = serde_json::to_string(&self.findings().stored).unwrap_or_default();
        self.deps.store.put_note(NOTE, stored).await
    }

    /// Checks as a visitor and, if there is one, as a member, and applies the findings. If a check fails while rosters
    /// are protected, the state becomes unknown, and names are withheld until a later check succeeds.
    async fn check(&self, member: PlainMember) -> Result<(), BridgeError> {
        let visitor = self.can_read(&Viewer::Visitor).await;
        {
            let known = &mut self.findings().visitor_can_read;
            match &visitor {
                Ok(Some(can_read)) => *known = Some(*can_read),
                Ok(None) => {}
                Err(_) if *known == Some(false) => *known = None,
                Err(_) => {}
            }
        }
        let checked = match member {
            Some((user, token)) if visitor.is_ok() => self.check_as_member(&user, token).await,
            _ => visitor.map(drop).map_err(BridgeError::from),
        };
        self.apply().await?;
        checked
    }

    async fn check_as_member(&self, user: &UserName, token: Arc<SecretString>) -> Result<(), BridgeError> {
        match self.can_read(&Viewer::Member(token)).await {
            Ok(Some(can_read)) => {
                self.findings().is_uncertain = false;
                Ok(self.put_member(user, can_read).await?)
            }
            // Either no section has a roster field, or the token has expired; then the next sign-in brings another one.
            Ok(None) | Err(PloneError::Unauthenticated) => Ok(()),
            Err(error) => {
                self.findings().is_uncertain = true;
                Err(error.into())
            }
        }
    }

    async fn put_member(&self, user: &UserName, can_read: bool) -> Result<(), StoreError> {
        {
            let stored = &mut self.findings().stored;
            if stored.member.as_deref() == Some(user.as_str()) && stored.member_can_read == can_read {
                return Ok(());
            }
            stored.member = Some(user.to_string());
            stored.member_can_read = can_read;
        }
        self.save().await
    }

    /// Returns true if `viewer` can read the roster of any section in a sample; `None` if no section of the sample has
    /// a roster field.
    async fn can_read(&self, viewer: &Viewer) -> Result<Option<bool>, PloneError> {
        let plone = &self.deps.plone;
        let mut sections = plone.search(viewer.clone(), ContentKind::Section, None, 0).await?.items;
        if sections.is_empty() {
            // A viewer who cannot find sections may still know the address of one.
            sections = plone.search(Viewer::Hub, ContentKind::Section, None, 0).await?.items;
        }
        let step = (sections.len() / SAMPLE_LEN).max(1);
        let mut has_field = false;
        for hit in sections.iter().step_by(step).take(SAMPLE_LEN) {
            if !plone.can_read(Viewer::Hub, &hit.path, SectionField::Roster).await? {
                continue;
            }
            has_field = true;
            if plone.can_read(viewer.clone(), &hit.path, SectionField::Roster).await? {
                return Ok(Some(true));
            }
        }
        Ok(has_field.then_some(false))
    }

    /// Publishes the state and marks the sections whose names must be written or removed.
    async fn apply(&self) -> Result<(), BridgeError> {
        let (state, needs_backfill) = {
            let findings = self.findings();
            (findings.state(), findings.stored.needs_backfill)
        };
        let before = self.gauge.put_roster(state.clone());
        match &state {
            RosterState::Protected if needs_backfill || matches!(before, RosterState::Readable(_)) => {
                // Reset before the sections are marked, because withholding names may set it again at any time.
                self.findings().stored.needs_backfill = false;
                let marked = self.mark(|_| true).await;
                if marked.is_err() {
                    self.findings().stored.needs_backfill = true;
                }
                self.save().await?;
                log::info!("the roster field in Plone is protected: writing names to {} sections", marked?);
            }
            RosterState::Readable(by) if before != state => {
                let marked = self.mark(has_names).await?;
                self.report(by, marked);
            }
            RosterState::Unchecked | RosterState::Protected | RosterState::Readable(_) => {}
        }
        Ok(())
    }

    /// Marks the sections whose item has a roster field and satisfies `predicate`. Returns their number.
    async fn mark(&self, predicate: fn(&PloneItem) -> bool) -> Result<usize, StoreError> {
        let items = self.deps.store.items().await?;
        let has_roster = |item: &PloneItem| !item.deleted && item.fields.contains_key(&SectionField::Roster);
        let sections: Vec<SectionId> =
            items.into_iter().filter(|item| has_roster(item) && predicate(item)).map(|item| item.section).collect();
        for chunk in sections.chunks(MARK_CHUNK) {
            self.deps.store.mark(chunk.to_vec(), self.deps.clock.now()).await?;
        }
        Ok(sections.len())
    }

    /// Logs and audits that names are removed from this many sections, because `by` can read the field.
    fn report(&self, by: &str, sections: usize) {
        let reader = match by {
            "visitor" => AuditDetail::EveryVisitor,
            _ => AuditDetail::PlainMember { user: by.to_owned() },
        };
        let detail = AuditDetail::RosterReadable { reader: Box::new(reader), n: sections as u64 };
        log::error!("{detail}");
        self.deps.audit.append(AuditEntry {
            at: self.deps.clock.now(),
            user: None,
            role: None,
            ip: None,
            action: "plone.roster".to_owned(),
            subject: Some(self.options.roster_field.clone()),
            section: None,
            detail: detail.into(),
            request_id: None,
        });
    }
}

/// Returns true if an item in Plone contains names, or may contain some.
fn has_names(item: &PloneItem) -> bool {
    match item.fields.get(&SectionField::Roster) {
        Some(FieldValue::Lines(lines)) => !lines.is_empty(),
        Some(FieldValue::Nothing) | None => false,
        Some(FieldValue::Text(text)) => !text.is_empty(),
        Some(FieldValue::Number(_)) => true,
    }
}

#[cfg(test)]
#[path = "roster_guard_tests.rs"]
mod tests;
