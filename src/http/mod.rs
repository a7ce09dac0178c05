//! HTTP: one file a resource, over the read model and the actors. Nothing here decides; nothing here speaks SQL.
