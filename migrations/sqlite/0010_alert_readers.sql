-- What a reader below staff sees of an alert.

-- The sender's display name. Null for a sender without one, and for alerts from before this migration: in both cases
-- such a reader sees the college's name.
ALTER TABLE alerts ADD COLUMN sender_name TEXT;
-- The parts of the audience to which a recipient belongs, such as `u s0 c2`: the list of users, the first section, the
-- third course. Null for alerts from before this migration.
ALTER TABLE alert_recipients ADD COLUMN parts TEXT;
