//! Alerts, apart from their rules (`domain`), storage (`store`) and live delivery (`live`).
//!
//! - [`acks`]: stores acknowledgements of alerts, many in one write

pub mod acks;
