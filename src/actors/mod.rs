//! The actors, and all that they are sent. They know the ports and the read model, never an adapter.
//!
//! - [`registrar`]: owns one term; orders what is asked of it, one batch at the store at a time
//! - [`import`]: imports of schedules, one at a time
//! - [`pool`]: finds a term's registrar, and bounds what is accepted

pub mod import;
pub mod pool;
pub mod registrar;
