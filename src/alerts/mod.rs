//! The handling of alerts apart from their delivery to live sessions:
//! - [`acks`]: the queue of acknowledgements
//! - [`cap`]: messages of the Common Alerting Protocol, written and read; [`atom`]: the feed of public alerts
//! - [`publisher`]: who publishes alerts for other systems, and where; `xml`: writes XML

pub mod acks;
pub mod atom;
pub mod cap;
pub mod publisher;
mod xml;
