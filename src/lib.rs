//! EduHub: an actor-based hub for registration and real-time alerts in front of a college's Plone.
pub mod domain;
