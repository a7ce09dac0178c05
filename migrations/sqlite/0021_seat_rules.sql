-- The group of cross-listed sections with which a section shares seats: a JSON object, or null.
ALTER TABLE sections ADD COLUMN cross_listed TEXT;
-- Seats reserved for groups of students, and conditions on the students: JSON lists.
ALTER TABLE sections ADD COLUMN reserved TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sections ADD COLUMN restrictions TEXT NOT NULL DEFAULT '[]';
-- How many times a student may take the course; 0 is no limit, null the college's limit.
ALTER TABLE sections ADD COLUMN repeat_limit INTEGER;

-- How many reserved seats are taken, and when the last were released: a JSON object, or null for none.
ALTER TABLE seats ADD COLUMN reserved TEXT;
-- For a seat that was reserved, the group for which it was reserved.
ALTER TABLE registrations ADD COLUMN reserved_for TEXT;

-- The deadlines to add, to drop, and to join and be promoted from waitlists: a JSON object.
ALTER TABLE terms ADD COLUMN cutoffs TEXT NOT NULL DEFAULT '{}';
