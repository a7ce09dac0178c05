-- What the college states about students: holds, limits, groups, opening times, completed courses.

CREATE TABLE students (
    user   TEXT PRIMARY KEY,
    -- a JSON object
    facts  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- When registration is open for groups of students: a JSON list.
ALTER TABLE terms ADD COLUMN windows TEXT NOT NULL DEFAULT '[]';

-- The last commit of the term that changed facts of students.
ALTER TABLE terms ADD COLUMN facts_seq INTEGER NOT NULL DEFAULT 0;
