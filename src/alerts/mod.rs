//! Parts of alerts other than their storage and live delivery.
//!
//! - [`receipts`]: stores acknowledgements of alerts, many in one write

pub mod receipts;
