-- Subjects to which staff are limited, and the role of instructors. `subjects` is a JSON list; NULL means no limit.

CREATE TABLE accounts_with_rights (
    username       TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    password_hash  TEXT NOT NULL,
    subjects       TEXT CHECK (subjects IS NULL OR role = 'staff')
) STRICT, WITHOUT ROWID;

INSERT INTO accounts_with_rights SELECT username, name, role, password_hash, NULL FROM accounts;
DROP TABLE accounts;
ALTER TABLE accounts_with_rights RENAME TO accounts;

CREATE TABLE people_with_rights (
    username   TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    -- local, plone, token, proxy, or `oidc:` followed by the name of the provider
    source     TEXT NOT NULL CHECK (source IN ('local', 'plone', 'token', 'proxy') OR source GLOB 'oidc:?*'),
    last_seen  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO people_with_rights SELECT username, name, role, source, last_seen FROM people;
DROP TABLE people;
ALTER TABLE people_with_rights RENAME TO people;

CREATE TABLE members_with_rights (
    user           TEXT PRIMARY KEY,
    -- the name that was typed at the last successful sign-in; Plone may accept names other than its user id
    login          TEXT NOT NULL,
    name           TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    token          TEXT,
    -- empty while it is not known
    password_hash  TEXT NOT NULL,
    signed_in_at   INTEGER NOT NULL,
    subjects       TEXT CHECK (subjects IS NULL OR role = 'staff')
) STRICT, WITHOUT ROWID;

INSERT INTO members_with_rights
SELECT user, login, name, role, token, password_hash, signed_in_at, NULL FROM plone_members;
DROP TABLE plone_members;
ALTER TABLE members_with_rights RENAME TO plone_members;
CREATE INDEX plone_members_login ON plone_members (login);

CREATE TABLE provider_users_with_rights (
    username  TEXT PRIMARY KEY,
    source    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    name      TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    subjects  TEXT CHECK (subjects IS NULL OR role = 'staff'),
    UNIQUE (source, subject)
) STRICT, WITHOUT ROWID;

INSERT INTO provider_users_with_rights SELECT username, source, subject, name, role, NULL FROM provider_users;
DROP TABLE provider_users;
ALTER TABLE provider_users_with_rights RENAME TO provider_users;
