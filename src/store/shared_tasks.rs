//! Port for the imports and demonstrations of one hub as the other hubs on the same store see them. The embedded store,
//! which has one hub, does not implement this port.

use std::time::Duration;

use crate::domain::language::Language;
use crate::store::StoreFuture;
use crate::store::imports::StoredTask;

/// The longest list of errors that is stored, in bytes: about 100,000 errors. Only the hub that read the file has a
/// longer list.
pub const ERRORS_LEN_MAX: usize = 16 << 20;

/// The newest demonstration as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDemonstration {
    /// Its report as JSON, which the store does not read.
    pub report: String,
    /// How long ago it was stored.
    pub age: Duration,
}

/// A store in which hubs see each other's imports and demonstrations.
pub trait SharedTasks: Send + Sync {
    /// Replaces a task whose stored state is running. Does nothing if it has ended.
    fn put_running_task(&self, task: StoredTask) -> StoreFuture<()>;
    /// Requests that the hub that runs an import cancels it. Does nothing if the import has ended.
    fn request_cancellation(&self, task: &str) -> StoreFuture<()>;
    /// Returns the ids of the running imports of this hub whose cancellation was requested.
    fn requested_cancellations(&self) -> StoreFuture<Vec<String>>;
    /// Stores the list of all errors of an import, at most [`ERRORS_LEN_MAX`] bytes. It is deleted with the task.
    fn put_errors(&self, task: &str, language: Language, list: Vec<u8>) -> StoreFuture<()>;
    /// Returns the list of all errors of an import, if it is stored.
    fn errors(&self, task: &str, language: Language) -> StoreFuture<Option<Vec<u8>>>;
    /// Stores the newest demonstration in place of the previous one.
    fn put_demonstration(&self, report: String) -> StoreFuture<()>;
    /// Returns the newest demonstration of all hubs.
    fn demonstration(&self) -> StoreFuture<Option<StoredDemonstration>>;
}
