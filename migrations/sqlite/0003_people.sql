-- Local accounts, the users whom the hub has seen, revoked tokens, and the audit trail.

CREATE TABLE accounts (
    username       TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('student', 'staff', 'admin')),
    password_hash  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE people (
    username   TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('student', 'staff', 'admin')),
    source     TEXT NOT NULL CHECK (source IN ('local', 'plone', 'token')),
    last_seen  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Tokens that were revoked one by one, until they expire.
CREATE TABLE dead_tokens (
    id          TEXT PRIMARY KEY,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Tokens of a user that were issued up to this time are revoked: the password changed, or the account was removed.
CREATE TABLE tokens_valid_from (
    username    TEXT PRIMARY KEY,
    valid_from  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    user        TEXT,
    role        TEXT,
    ip          TEXT,
    action      TEXT NOT NULL,
    subject     TEXT,
    section     TEXT,
    detail      TEXT NOT NULL,
    request_id  TEXT
) STRICT;

CREATE INDEX audit_by_user ON audit (user, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_at ON audit (at);
CREATE INDEX audit_by_subject ON audit (subject, id);
