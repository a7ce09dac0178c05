//! Alerts beyond their storage and live delivery.
//!
//! - [`receipts`]: stores who has seen an alert, many acknowledgements in one write

pub mod receipts;
