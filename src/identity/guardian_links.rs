//! Links with which a parent or guardian reads one student's schedule. A student creates a link and gives it to that
//! person. It needs no account and opens nothing but this schedule, until it expires or the student removes it.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::SignedDuration;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::ids::UserName;
use crate::store::StoreError;
use crate::store::guardian_links::{GuardianLink, GuardianLinkStore, LinkHash};

/// Maximum number of links of a student at a time: two parents with two devices each, and one to replace.
pub const LINKS_MAX: usize = 5;
/// Longest time for which a link is valid, in days: a year.
pub const DAYS_MAX: u32 = 366;
/// Time for which a link is valid unless the student chooses another one, in days: a term.
pub const DAYS_DEFAULT: u32 = 120;
/// Longest label of a link, in characters.
pub const LABEL_CHARS_MAX: usize = 60;
/// Number of random bytes in the secret of a link, which no one can guess.
const SECRET_BYTES: usize = 32;

/// A link that was just created. Only its hash is stored, so the secret cannot be shown again.
#[derive(Debug, Clone)]
pub struct NewGuardianLink {
    /// The link.
    pub link: GuardianLink,
    /// The secret that opens the schedule.
    pub secret: String,
}

/// The links to schedules.
pub struct GuardianLinks {
    store: Arc<dyn GuardianLinkStore>,
    clock: Arc<dyn Clock>,
}

impl GuardianLinks {
    /// Creates the links on a store.
    #[must_use]
    pub fn new(store: Arc<dyn GuardianLinkStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Makes a link to a student's schedule; `None` if the student has [`LINKS_MAX`] links.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn make(
        &self,
        student: &UserName,
        label: String,
        days: u32,
    ) -> Result<Option<NewGuardianLink>, StoreError> {
        let (secret, hash) = new_secret();
        let created_at = self.clock.now();
        let expires_at = created_at + SignedDuration::from_hours(24 * i64::from(days.min(DAYS_MAX)));
        let link = GuardianLink { id: Uuid::now_v7(), student: student.clone(), label, created_at, expires_at };
        let is_stored = self.store.put_guardian_link(link.clone(), hash, LINKS_MAX).await?;
        Ok(is_stored.then_some(NewGuardianLink { link, secret }))
    }

    /// Returns the links of a student that have not ended, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of(&self, student: &UserName) -> Result<Vec<GuardianLink>, StoreError> {
        self.store.guardian_links(student, self.clock.now()).await
    }

    /// Removes a link of a student. Returns false if the student has no such link.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn end(&self, student: &UserName, id: Uuid) -> Result<bool, StoreError> {
        self.store.remove_guardian_link(student, id).await
    }

    /// Returns the link that a secret opens; `None` if there is none, or it has ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(&self, secret: &str) -> Result<Option<GuardianLink>, StoreError> {
        let Some(hash) = hash_of(secret) else { return Ok(None) };
        self.store.guardian_link(hash, self.clock.now()).await
    }
}

/// Creates the secret of a link, and returns it with its hash.
pub(super) fn new_secret() -> (String, LinkHash) {
    let random: [u8; SECRET_BYTES] = rand::random();
    let mut secret = String::with_capacity(2 * SECRET_BYTES);
    for byte in random {
        // Writing to a string cannot fail.
        let _ = write!(secret, "{byte:02x}");
    }
    let hash = sha256(&secret);
    (secret, hash)
}

/// Returns the hash of a secret; `None` for text that does not have the length of one.
pub(super) fn hash_of(secret: &str) -> Option<LinkHash> {
    (secret.len() == 2 * SECRET_BYTES).then(|| sha256(secret))
}

fn sha256(secret: &str) -> LinkHash {
    let mut hash = LinkHash::default();
    hash.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    hash
}
