-- What has to be written to the college's Plone, what Plone last contained, and the users who signed in through it.

-- Each section's item in Plone, as last pulled or written.
CREATE TABLE plone_items (
    term      TEXT NOT NULL,
    crn       TEXT NOT NULL,
    uid       TEXT NOT NULL UNIQUE,
    path      TEXT NOT NULL,
    modified  INTEGER NOT NULL,
    -- a JSON object: field to value
    fields    TEXT NOT NULL,
    deleted   INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    PRIMARY KEY (term, crn)
) STRICT, WITHOUT ROWID;

-- Sections whose newest state is not in Plone yet.
CREATE TABLE plone_outbox (
    term       TEXT NOT NULL,
    crn        TEXT NOT NULL,
    -- increases with each change; an entry is deleted only in the version that was sent
    version    INTEGER NOT NULL,
    queued_at  INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER NOT NULL,
    -- whether the section has no item in Plone yet: those that have one come first
    is_new     INTEGER NOT NULL CHECK (is_new IN (0, 1)),
    -- why Plone refused it permanently; null while it waits to be sent
    refused    TEXT,
    refused_at INTEGER,
    PRIMARY KEY (term, crn)
) STRICT, WITHOUT ROWID;

CREATE INDEX plone_outbox_due ON plone_outbox (is_new, next_at) WHERE refused IS NULL;

CREATE TABLE plone_notes (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plone_members (
    user           TEXT PRIMARY KEY,
    -- the name that was typed at the last successful sign-in; Plone may accept names other than its user id
    login          TEXT NOT NULL,
    name           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('student', 'staff', 'admin')),
    token          TEXT,
    -- empty while it is not known
    password_hash  TEXT NOT NULL,
    signed_in_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX plone_members_login ON plone_members (login);

-- Sign-ins through Plone up to this time have ended.
CREATE TABLE plone_sign_ins_ended (
    user  TEXT PRIMARY KEY,
    at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A section that visitors of Plone can no longer see keeps its students, and is omitted from lists.
ALTER TABLE sections ADD COLUMN withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1));
