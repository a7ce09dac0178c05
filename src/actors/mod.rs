//! The actors, and all that they are sent.
