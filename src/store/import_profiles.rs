//! Port for import profiles: mappings of the columns of schedule files that staff saved under a name.

use crate::domain::ids::ProfileName;
use crate::domain::import_profile::ImportProfile;

use crate::store::StoreFuture;

/// Maximum number of saved profiles. All of them are compared with each file; a college has only a few kinds of files.
pub const PROFILES_MAX: usize = 100;

/// The effect of storing a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutProfile {
    /// The profile is new.
    Created,
    /// It replaced the profile of this name.
    Replaced,
    /// Nothing was stored, because there are [`PROFILES_MAX`] other profiles.
    Full,
}

/// A store of profiles. It does not contain the built-in ones.
pub trait ProfileStore: Send + Sync {
    /// Returns all saved profiles, by name.
    fn profiles(&self) -> StoreFuture<Vec<ImportProfile>>;
    /// Inserts or replaces a profile.
    fn put_profile(&self, profile: ImportProfile) -> StoreFuture<PutProfile>;
    /// Removes a profile. Returns false if there is none with this name.
    fn remove_profile(&self, name: &ProfileName) -> StoreFuture<bool>;
}
