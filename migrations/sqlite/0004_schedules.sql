-- Plans of students, one-off events, and import tasks.

CREATE TABLE plans (
    user      TEXT PRIMARY KEY,
    -- a JSON list of section ids, in the student's order
    sections  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    id           TEXT PRIMARY KEY,
    title        TEXT NOT NULL,
    program      TEXT,
    starts_at    INTEGER NOT NULL,
    ends_at      INTEGER,
    location     TEXT,
    instructor   TEXT,
    description  TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX events_by_start ON events (starts_at, id);

CREATE TABLE import_tasks (
    id           TEXT PRIMARY KEY,
    state        TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    -- the task as GET /api/v1/imports/{task} returns it
    body         TEXT NOT NULL
) STRICT, WITHOUT ROWID;
