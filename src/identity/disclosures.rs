//! Disclosures: reads of data about other people, such as a roster. Each is in the audit trail before the response is
//! sent.
//!
//! A page that polls would fill the audit trail. Therefore, reads of the same resource by the same reader within
//! [`WINDOW`] share one entry: the first read writes it, and later reads only add the people who are not in it yet.
//! When the window has ended, a second entry states the number of the later reads. A crash loses that number, but no
//! entry and no name.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strum::IntoStaticStr;

use crate::domain::audit_detail::AuditDetail;
use crate::domain::ids::UserName;
use crate::identity::audit::Audit;
use crate::store::StoreError;
use crate::store::accounts::AuditEntry;

/// How long reads of one resource by one reader share an entry.
pub const WINDOW: Duration = Duration::from_secs(300);
/// Maximum number of open windows. Each is one reader and one resource; beyond it, all windows end.
const WINDOWS_MAX: usize = 10_000;
/// Maximum number of names in all open windows, about 16 MB of hashes; beyond it, all windows end.
const NAMES_MAX: usize = 500_000;
/// Maximum number of names that one transaction adds, so that no registration waits long for it.
const NAMES_PER_WRITE: usize = 500;

/// The kind of data that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
pub enum Disclosure {
    /// The roster of a section, on a page.
    #[strum(serialize = "roster.read")]
    RosterRead,
    /// The roster of a section, as a file.
    #[strum(serialize = "roster.export")]
    RosterExport,
    /// The enrollments of a term, as a file.
    #[strum(serialize = "enrollments.export")]
    EnrollmentsExport,
    /// The users who have and have not acknowledged an alert.
    #[strum(serialize = "receipts.read")]
    ReceiptsRead,
    /// The list of users.
    #[strum(serialize = "users.list")]
    UsersList,
    /// The list of live sessions, with addresses.
    #[strum(serialize = "sessions.list")]
    SessionsList,
    /// The audit trail.
    #[strum(serialize = "audit.read")]
    AuditRead,
    /// The students found by a search.
    #[strum(serialize = "student.search")]
    StudentSearch,
    /// What the college states about a student, and the student's registrations and plan.
    #[strum(serialize = "student.read")]
    StudentRead,
    /// The attempts of a student, or in a section.
    #[strum(serialize = "attempts.read")]
    AttemptsRead,
    /// A student's schedule, by a link that the student created.
    #[strum(serialize = "schedule.shared")]
    ScheduleShared,
}

impl Disclosure {
    /// Returns the action in the audit trail.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.into()
    }
}

/// A reader and a resource: who reads, the action, its subject and its section.
type Key = (Option<UserName>, String, Option<String>, Option<String>);

/// The reads of one resource by one reader that share an entry.
struct Window {
    /// The first read.
    first: AuditEntry,
    /// The number of its entry.
    number: u64,
    ends_at: Timestamp,
    /// Hashes of the names that the entry has.
    names: HashSet<u64>,
    /// The number of reads after the first.
    later: u64,
}

/// All open windows.
#[derive(Default)]
pub(super) struct Windows {
    open: HashMap<Key, Window>,
    /// The number of names in all windows.
    names: usize,
}

/// The data to write for a read.
enum Due {
    /// A new entry.
    Entry,
    /// These people, for the entry with this number.
    People(u64, Vec<UserName>),
}

impl Windows {
    /// Ends the windows that are over at `now`, or all if there are too many, and returns the entries that state their
    /// later reads.
    pub(super) fn end(&mut self, now: Timestamp) -> Vec<AuditEntry> {
        let is_full = self.open.len() >= WINDOWS_MAX || self.names >= NAMES_MAX;
        let ended = self.open.extract_if(|_, window| is_full || window.ends_at <= now);
        let ended: Vec<Window> = ended.map(|(_, window)| window).collect();
        self.names -= ended.iter().map(|window| window.names.len()).sum::<usize>();
        ended.into_iter().filter_map(|window| window.summary(now)).collect()
    }

    /// Ends all windows, and returns the entries that state their later reads.
    pub(super) fn end_all(&mut self, now: Timestamp) -> Vec<AuditEntry> {
        self.names = 0;
        self.open.drain().filter_map(|(_, window)| window.summary(now)).collect()
    }

    /// Counts a read, and returns what has to be written for it; `None` if the entry of its window already contains it.
    fn count(&mut self, key: &Key, people: &[UserName]) -> Option<Due> {
        let Some(window) = self.open.get_mut(key) else { return Some(Due::Entry) };
        window.later += 1;
        let added: Vec<UserName> =
            people.iter().filter(|name| !window.names.contains(&hash_of(name))).cloned().collect();
        (!added.is_empty()).then_some(Due::People(window.number, added))
    }

    /// Records that people were written for the entry of a window.
    fn add(&mut self, key: &Key, people: &[UserName]) {
        if let Some(window) = self.open.get_mut(key) {
            let before = window.names.len();
            window.names.extend(people.iter().map(hash_of));
            self.names += window.names.len() - before;
        }
    }
}

impl Window {
    /// Returns the entry that states the later reads; `None` if there were none.
    fn summary(self, now: Timestamp) -> Option<AuditEntry> {
        let minutes = WINDOW.as_secs() / 60;
        let later = AuditDetail::ReadAgain { n: self.later, minutes, at: self.first.at.to_string() };
        (self.later > 0).then_some(AuditEntry { at: now, detail: later.into(), ..self.first })
    }
}

fn hash_of(name: &UserName) -> u64 {
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    hash.finish()
}

impl Audit {
    /// Returns the number of open windows, in which reads share an entry.
    #[must_use]
    pub fn open_disclosures(&self) -> usize {
        self.windows.lock().open.len()
    }

    /// Records that the user of `entry` read data about `people`. When it returns, the entry and all names are in the
    /// store.
    ///
    /// # Errors
    /// When the store cannot be written. In this case the data must not be disclosed.
    pub async fn disclose(&self, entry: AuditEntry, mut people: Vec<UserName>) -> Result<(), StoreError> {
        people.sort_unstable();
        people.dedup();
        people.retain(|name| entry.user.as_ref() != Some(name));
        let section = entry.section.as_ref().map(ToString::to_string);
        let key = (entry.user.clone(), entry.action.clone(), entry.subject.clone(), section);
        let (ended, due) = {
            let mut windows = self.windows.lock();
            (windows.end(entry.at), windows.count(&key, &people))
        };
        ended.into_iter().for_each(|entry| self.append(entry));
        match due {
            None => {}
            Some(Due::People(number, added)) => {
                self.add_people(number, &added).await?;
                self.windows.lock().add(&key, &added);
            }
            Some(Due::Entry) => {
                let (first, rest) = people.split_at(people.len().min(NAMES_PER_WRITE));
                let number = self.store.disclose(entry.clone(), first.to_vec()).await?;
                self.add_people(number, rest).await?;
                let ends_at = entry.at + SignedDuration::from_secs(WINDOW.as_secs().cast_signed());
                let window = Window { first: entry, number, ends_at, names: HashSet::new(), later: 0 };
                let mut windows = self.windows.lock();
                // Another first read of the same resource may have been written at the same time.
                if !windows.open.contains_key(&key) {
                    windows.open.insert(key.clone(), window);
                    windows.add(&key, &people);
                }
            }
        }
        Ok(())
    }

    async fn add_people(&self, number: u64, people: &[UserName]) -> Result<(), StoreError> {
        for part in people.chunks(NAMES_PER_WRITE) {
            self.store.add_people(number, part.to_vec()).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::domain::audit_detail::Detail;
    use crate::domain::ids::SectionId;
    use crate::domain::role::Role;
    use crate::store::accounts::{AuditFilter, AuditStore};
    use crate::store::sqlite::{SqliteOptions, SqliteStore};

    /// A clock that stands at the epoch; the entries of the tests have their own times.
    struct Epoch;

    impl Clock for Epoch {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    struct Setup {
        audit: Audit,
        store: SqliteStore,
        _folder: tempfile::TempDir,
    }

    impl Setup {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("hub.db");
            let store = SqliteStore::open(SqliteOptions { path, outbox: None }).unwrap();
            Self { audit: Audit::start(Arc::new(store.clone()), Arc::new(Epoch)), store, _folder: folder }
        }

        async fn read(&self, reader: &str, minute: i64, people: &[&str]) {
            let at = Timestamp::from_second(minute * 60).unwrap();
            let entry = AuditEntry {
                at,
                user: Some(name(reader)),
                detail: format!("{} people", people.len()).into(),
                ..entry()
            };
            self.audit.disclose(entry, people.iter().map(|person| name(person)).collect()).await.unwrap();
        }

        /// Returns the user and the detail of all entries, oldest first.
        async fn entries(&self) -> Vec<String> {
            let page = self.store.page(AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap();
            let line = |entry: &AuditEntry| format!("{}: {}", entry.user.as_ref().unwrap(), entry.detail);
            page.items.iter().rev().map(line).collect()
        }

        async fn seen_by(&self, person: &str) -> usize {
            self.store.disclosures_of(&name(person), None, 100).await.unwrap().len()
        }
    }

    fn name(text: &str) -> UserName {
        UserName::parse(text).unwrap()
    }

    #[actix_rt::test]
    async fn reads_within_the_window_share_one_entry() {
        let setup = Setup::new();
        for _ in 0..300 {
            setup.read("sam", 0, &["ann", "bob"]).await;
        }
        assert_eq!(setup.entries().await, ["sam: 2 people"]);
        // A student who came later is added to the entry; another reader has a separate entry.
        setup.read("sam", 4, &["ann", "bob", "cid"]).await;
        setup.read("kim", 4, &["ann"]).await;
        assert_eq!(setup.entries().await, ["sam: 2 people", "kim: 1 people"]);
        assert_eq!((setup.seen_by("ann").await, setup.seen_by("cid").await, setup.seen_by("dan").await), (2, 1, 0));
        setup.read("sam", 5, &["ann"]).await;
        setup.audit.finish().await;
        let expected = [
            "sam: 2 people",
            "kim: 1 people",
            "sam: 1 people",
            "sam: read 300 more times within 5 minutes of 1970-01-01T00:00:00Z",
        ];
        let mut entries = setup.entries().await;
        entries[2..].sort_unstable();
        assert_eq!(entries, expected);
        assert_eq!(setup.seen_by("ann").await, 3);
    }

    #[actix_rt::test]
    async fn the_reader_is_not_among_the_people() {
        let setup = Setup::new();
        setup.read("sam", 0, &["sam", "ann"]).await;
        assert_eq!((setup.seen_by("sam").await, setup.seen_by("ann").await), (0, 1));
    }

    #[actix_rt::test]
    async fn entries_older_than_the_retention_period_are_deleted() {
        let setup = Setup::new();
        let entry = |second| AuditEntry { at: Timestamp::from_second(second).unwrap(), ..entry() };
        // More entries than one transaction deletes.
        setup
            .store
            .append((0..1_200).map(|second| entry(second - 90_000)).chain([entry(-10)]).collect())
            .await
            .unwrap();
        setup.audit.limit_retention(SignedDuration::from_hours(24));
        while setup.entries().await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(setup.entries().await, ["sam: "]);
    }

    /// Returns an entry at the epoch.
    fn entry() -> AuditEntry {
        AuditEntry {
            at: Timestamp::UNIX_EPOCH,
            user: Some(name("sam")),
            role: Some(Role::Staff),
            ip: None,
            action: Disclosure::RosterRead.action().to_owned(),
            subject: None,
            section: Some(SectionId::parse("F-1").unwrap()),
            detail: Detail::default(),
            request_id: None,
        }
    }

    #[test]
    fn windows_are_bounded() {
        let mut windows = Windows::default();
        let first = entry();
        for number in 0..WINDOWS_MAX {
            let window =
                Window { first: first.clone(), number: 1, ends_at: Timestamp::MAX, names: HashSet::new(), later: 0 };
            windows.open.insert((None, number.to_string(), None, None), window);
        }
        windows.end(Timestamp::UNIX_EPOCH);
        assert_eq!((windows.open.len(), windows.names), (0, 0));
    }
}
