//! Alerts: who has seen them.
//!
//! - [`receipts`]: acknowledgements, many in one write

pub mod receipts;
