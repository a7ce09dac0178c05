-- What a store that was moved from SQLite contains.

-- Null for alerts that were sent before the embedded store kept the parts.
ALTER TABLE alert_recipients ALTER COLUMN parts DROP NOT NULL;
