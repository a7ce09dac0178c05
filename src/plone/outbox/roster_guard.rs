//! Students' names go to Plone only where neither a visitor nor a plain member can read them there. That is tried, by
//! asking Plone as both: a visitor at each start and regularly, a member whenever one has just signed in.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::domain::fields::{FieldValue, SectionField};
use crate::domain::ids::{SectionId, UserName};
use crate::plone::port::{BridgeError, ContentKind, PloneError, Viewer};
use crate::plone::sign_in::PlainMember;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;
use crate::store::outbox::PloneItem;

use crate::plone::outbox::deps::{OutboxDeps, OutboxOptions};
use crate::plone::outbox::status::{OutboxGauge, RosterState};
use crate::plone::outbox::wanted::Names;

/// The name of the note that keeps what was found.
const NOTE: &str = "roster_guard";
/// Sections that are tried as each viewer: the type decides, and single items may have rights of their own.
const SAMPLE_LEN: usize = 3;
/// Sections that are marked in one go, so that registrations pass between.
const MARK_CHUNK: usize = 200;

/// What is kept of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Which field of which type of which site.
    field: String,
    /// The member who was tried last; none yet.
    member: Option<String>,
    /// Whether that member could read it.
    member_can_read: bool,
    /// Whether names that should be in Plone may not be there, since they were withheld.
    behind: bool,
}

#[derive(Default)]
struct Found {
    /// Whether a visitor can read it; none before it was tried in this run.
    visitor_can_read: Option<bool>,
    /// Whether the last try as a member had no answer: what was found earlier may not be so any more.
    is_in_doubt: bool,
    kept: Kept,
}

impl Found {
    fn state(&self) -> RosterState {
        match (self.visitor_can_read, &self.kept.member) {
            (Some(true), _) => RosterState::Readable("visitor".to_owned()),
            (_, Some(member)) if self.kept.member_can_read => RosterState::Readable(member.clone()),
            (Some(false), Some(_)) if !self.is_in_doubt => RosterState::Protected,
            _ => RosterState::Unchecked,
        }
    }
}

/// Knows who can read rosters in Plone.
pub(super) struct RosterGuard {
    deps: OutboxDeps,
    options: OutboxOptions,
    gauge: Arc<OutboxGauge>,
    found: Mutex<Found>,
}

impl RosterGuard {
    /// One that knows what was found before, in this run or an earlier one: what is added to it is kept beside it.
    pub(super) async fn recalled(
        deps: &OutboxDeps,
        options: &OutboxOptions,
        gauge: &Arc<OutboxGauge>,
    ) -> Result<Arc<Self>, StoreError> {
        let note = deps.store.note(NOTE).await?;
        let kept: Option<Kept> = note.and_then(|note| serde_json::from_str(&note).ok());
        let field = options.roster_field.clone();
        // Another site, type or field: nothing is known, and whatever is there was not written by this check.
        let fresh = Kept { field: field.clone(), behind: true, ..Kept::default() };
        let kept = kept.filter(|kept| kept.field == field).unwrap_or(fresh);
        let found = Mutex::new(Found { kept, ..Found::default() });
        Ok(Arc::new(Self { deps: deps.clone(), options: options.clone(), gauge: gauge.clone(), found }))
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock()
    }

    /// What is known now.
    pub(super) fn state(&self) -> RosterState {
        self.gauge.roster()
    }

    /// Hears that a section was written, or needed not to be, with this said of its names: those that were withheld are
    /// made up for when they may be written.
    pub(super) async fn withheld(&self, names: Names) {
        if names == Names::Written {
            return;
        }
        {
            let mut found = self.found();
            if found.kept.behind {
                return;
            }
            found.kept.behind = true;
        }
        if let Err(error) = self.keep().await {
            log::warn!("that names were withheld from Plone cannot be kept: {error}");
        }
    }

    /// Looks, at once and again and again, until the hub ends.
    pub(super) async fn run(
        self: Arc<Self>,
        mut members: watch::Receiver<PlainMember>,
        mut stopping: watch::Receiver<bool>,
    ) {
        loop {
            let member = members.borrow_and_update().clone();
            if let Err(error) = self.look(member).await {
                log::info!("who can read rosters in Plone is not known: {error}");
            }
            // Who signs in is waited for once; later, the newest of them is asked for at each look.
            let waits = self.found().kept.member.is_none();
            tokio::select! {
                () = sleep(self.options.check) => {}
                Ok(()) = members.changed(), if waits => {}
                _ = stopping.changed() => return,
            }
        }
    }

    async fn keep(&self) -> Result<(), StoreError> {
        let kept = serde_json::to_string(&self.found().kept).unwrap_or_default();
        self.deps.store.put_note(NOTE, kept).await
    }

    /// Asks as a visitor and, where there is one, as a member; then does what follows from it. Where there is no answer,
    /// it is not known any more who can read: names are kept back until the next look has one.
    async fn look(&self, member: PlainMember) -> Result<(), BridgeError> {
        let visitor = self.can_read(&Viewer::Visitor).await;
        {
            let known = &mut self.found().visitor_can_read;
            match &visitor {
                Ok(Some(can_read)) => *known = Some(*can_read),
                Ok(None) => {}
                Err(_) if *known == Some(false) => *known = None,
                Err(_) => {}
            }
        }
        let tried = match member {
            Some((user, token)) if visitor.is_ok() => self.try_as(&user, token).await,
            _ => visitor.map(drop).map_err(BridgeError::from),
        };
        self.follow().await?;
        tried
    }

    async fn try_as(&self, user: &UserName, token: Arc<SecretString>) -> Result<(), BridgeError> {
        match self.can_read(&Viewer::Member(token)).await {
            Ok(Some(can_read)) => {
                self.found().is_in_doubt = false;
                Ok(self.put_member(user, can_read).await?)
            }
            // A token that Plone does not know any more says nothing; the next sign-in does.
            Ok(None) | Err(PloneError::Unauthenticated) => Ok(()),
            Err(error) => {
                self.found().is_in_doubt = true;
                Err(error.into())
            }
        }
    }

    async fn put_member(&self, user: &UserName, can_read: bool) -> Result<(), StoreError> {
        {
            let kept = &mut self.found().kept;
            if kept.member.as_deref() == Some(user.as_str()) && kept.member_can_read == can_read {
                return Ok(());
            }
            kept.member = Some(user.to_string());
            kept.member_can_read = can_read;
        }
        self.keep().await
    }

    /// Whether `viewer` can read the roster of sections, of some that they see; none when there is no roster to be read.
    async fn can_read(&self, viewer: &Viewer) -> Result<Option<bool>, PloneError> {
        let plone = &self.deps.plone;
        let mut seen = plone.search(viewer.clone(), ContentKind::Section, None, 0).await?.items;
        if seen.is_empty() {
            // Who sees no section cannot read of any; tried all the same.
            seen = plone.search(Viewer::Hub, ContentKind::Section, None, 0).await?.items;
        }
        let step = (seen.len() / SAMPLE_LEN).max(1);
        let mut has_field = false;
        for hit in seen.iter().step_by(step).take(SAMPLE_LEN) {
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

    /// Does what follows from what was found.
    async fn follow(&self) -> Result<(), BridgeError> {
        let (state, behind) = {
            let found = self.found();
            (found.state(), found.kept.behind)
        };
        let before = self.gauge.put_roster(state.clone());
        match &state {
            RosterState::Protected if behind || matches!(before, RosterState::Readable(_)) => {
                // First that it is made up for, then everything that it takes: what is withheld meanwhile counts anew.
                self.found().kept.behind = false;
                let marked = self.mark(|_| true).await;
                if marked.is_err() {
                    self.found().kept.behind = true;
                }
                self.keep().await?;
                log::info!("rosters in Plone are protected: names are written ({} sections)", marked?);
            }
            RosterState::Readable(by) if before != state => {
                let marked = self.mark(has_names).await?;
                self.tell(by, marked);
            }
            _ => {}
        }
        Ok(())
    }

    /// Marks the sections whose item has a roster and is one of `which`.
    async fn mark(&self, which: fn(&PloneItem) -> bool) -> Result<usize, StoreError> {
        let items = self.deps.store.items().await?;
        let with_roster = |item: &PloneItem| !item.deleted && item.fields.contains_key(&SectionField::Roster);
        let sections: Vec<SectionId> =
            items.into_iter().filter(|item| with_roster(item) && which(item)).map(|item| item.section).collect();
        for chunk in sections.chunks(MARK_CHUNK) {
            self.deps.store.mark(chunk.to_vec(), self.deps.clock.now()).await?;
        }
        Ok(sections.len())
    }

    /// Tells admins that names are kept back, and from how many sections they are taken away.
    fn tell(&self, by: &str, sections: usize) {
        let who = if by == "visitor" { "every visitor".to_owned() } else { format!("a plain member ({by})") };
        let detail = format!(
            "The field of the roster can be read by {who} in Plone: only counts are written, and names are taken away \
             from {sections} sections. Protect the field with a read permission, such as Modify portal content."
        );
        log::error!("{detail}");
        self.deps.audit.append(AuditEntry {
            at: self.deps.clock.now(),
            user: None,
            role: None,
            ip: None,
            action: "plone.roster".to_owned(),
            subject: Some(self.options.roster_field.clone()),
            section: None,
            detail,
            request_id: None,
        });
    }
}

/// Whether Plone has names of this item, or may have.
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
