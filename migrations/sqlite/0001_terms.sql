-- Terms, their sections in several versions, and the registrations of students.
-- Times are milliseconds since the epoch; dates and structures are text.

CREATE TABLE terms (
    id          TEXT PRIMARY KEY,
    title       TEXT NOT NULL,
    starts_on   TEXT,
    ends_on     TEXT,
    opens_at    INTEGER,
    closes_at   INTEGER,
    holidays    TEXT NOT NULL DEFAULT '[]',
    -- The sequence of the term's last commit. It never decreases.
    seats_seq   INTEGER NOT NULL,
    -- Sections of a higher generation are staged and not yet visible.
    generation  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A section's definition: the visible one is that of the highest generation up to the term's.
CREATE TABLE sections (
    term               TEXT NOT NULL,
    crn                TEXT NOT NULL,
    generation         INTEGER NOT NULL,
    course             TEXT NOT NULL,
    component          TEXT NOT NULL,
    section            TEXT,
    title              TEXT,
    credits            INTEGER NOT NULL CHECK (credits >= 0),
    instructor         TEXT,
    method             TEXT,
    campus             TEXT,
    meetings           TEXT NOT NULL,
    capacity           INTEGER NOT NULL CHECK (capacity >= 0),
    waitlist_capacity  INTEGER NOT NULL CHECK (waitlist_capacity >= 0),
    status             TEXT NOT NULL CHECK (status IN ('open', 'closed', 'cancelled')),
    linked             TEXT NOT NULL,
    prerequisites      TEXT NOT NULL,
    outside_enrolled   INTEGER NOT NULL CHECK (outside_enrolled >= 0),
    outside_waitlisted INTEGER NOT NULL CHECK (outside_waitlisted >= 0),
    file_enrolled      INTEGER,
    file_waitlisted    INTEGER,
    PRIMARY KEY (term, crn, generation)
) STRICT, WITHOUT ROWID;

-- The hub's own numbers of a section. A section without a row has none.
CREATE TABLE seats (
    term        TEXT NOT NULL,
    crn         TEXT NOT NULL,
    enrolled    INTEGER NOT NULL CHECK (enrolled >= 0),
    waitlisted  INTEGER NOT NULL CHECK (waitlisted >= 0),
    PRIMARY KEY (term, crn)
) STRICT, WITHOUT ROWID;

CREATE TABLE registrations (
    term      TEXT NOT NULL,
    user      TEXT NOT NULL,
    crn       TEXT NOT NULL,
    standing  TEXT NOT NULL CHECK (standing IN ('enrolled', 'waitlisted', 'dropped')),
    -- The queue number of a waitlisted student; 0 otherwise.
    place     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    passed    TEXT,
    PRIMARY KEY (term, user, crn)
) STRICT, WITHOUT ROWID;

CREATE INDEX registrations_by_section ON registrations (term, crn, standing);
