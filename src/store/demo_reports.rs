//! Port for the reports of demonstrations that administrators shared by a link.

use jiff::Timestamp;
use uuid::Uuid;

use crate::store::StoreFuture;

/// Maximum number of reports that a store keeps.
pub const DEMO_REPORTS_MAX: usize = 50;

/// Store of shared reports. A report is JSON text; the store does not read it.
pub trait DemoReportStore: Send + Sync {
    /// Stores the report of a demonstration, unless it is stored already, and deletes the oldest reports beyond
    /// [`DEMO_REPORTS_MAX`].
    fn put_demo_report(&self, task: Uuid, report: String, at: Timestamp) -> StoreFuture<()>;
    /// Returns the report of a demonstration.
    fn demo_report(&self, task: Uuid) -> StoreFuture<Option<String>>;
    /// Deletes the report of a demonstration. Returns false when there is none.
    fn remove_demo_report(&self, task: Uuid) -> StoreFuture<bool>;
}
