-- Attempts: every decided request and every promotion, as a chain of hashes for each term.

CREATE TABLE attempts (
    term            TEXT NOT NULL,
    -- From 1, without gaps.
    n               INTEGER NOT NULL,
    received_at     INTEGER NOT NULL,
    decided_at      INTEGER NOT NULL,
    -- attempt_students.id
    student         INTEGER NOT NULL,
    crn             TEXT NOT NULL,
    -- 0 register, 1 drop, 2 promote, 3 lapse, 4 reorder
    action          INTEGER NOT NULL,
    result          TEXT NOT NULL,
    repeated        INTEGER NOT NULL,
    position        INTEGER,
    open            INTEGER,
    -- 0 self, 1 staff, 2 promotion, 3 system
    asker           INTEGER NOT NULL,
    request_id      BLOB,
    -- The attempt before this one of the student, and of the section; 0 for the first. There is no index by student or
    -- section, because its pages would double the size of each commit.
    before_student  INTEGER NOT NULL,
    before_section  INTEGER NOT NULL,
    hash            BLOB NOT NULL,
    PRIMARY KEY (term, n)
) STRICT, WITHOUT ROWID;

-- The end of each chain, and where it begins after old attempts were deleted.
CREATE TABLE attempt_chains (
    term          TEXT PRIMARY KEY,
    n             INTEGER NOT NULL,
    head          BLOB NOT NULL,
    -- The last attempt when attempt_heads was written.
    heads_at      INTEGER NOT NULL,
    -- The last deleted attempt and its hash; 0 and 32 zero bytes while there is none.
    deleted       INTEGER NOT NULL,
    deleted_hash  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The students of a term's attempts. An erasure replaces the name and deletes the salt, and the commitment stays.
CREATE TABLE attempt_students (
    term        TEXT NOT NULL,
    id          INTEGER NOT NULL,
    user        TEXT NOT NULL,
    salt        BLOB,
    commitment  BLOB NOT NULL,
    PRIMARY KEY (term, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempt_students_by_user ON attempt_students (user, term);

-- The newest attempt of each student (crn is empty) and each section (student is 0), as of attempt_chains.heads_at.
CREATE TABLE attempt_heads (
    term     TEXT NOT NULL,
    student  INTEGER NOT NULL,
    crn      TEXT NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (term, student, crn)
) STRICT, WITHOUT ROWID;
