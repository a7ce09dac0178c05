-- People who sign in by single sign-on, and their open sign-ins. `people.source` may name a provider.

CREATE TABLE people_by_source (
    username   TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL CHECK (role IN ('student', 'staff', 'admin')),
    -- local, plone, token, proxy, or `oidc:` followed by the name of the provider
    source     TEXT NOT NULL CHECK (source IN ('local', 'plone', 'token', 'proxy') OR source GLOB 'oidc:?*'),
    last_seen  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO people_by_source SELECT username, name, role, source, last_seen FROM people;
DROP TABLE people;
ALTER TABLE people_by_source RENAME TO people;

-- The person at a provider to whom a username belongs. The subject never changes; the name at the provider may.
CREATE TABLE provider_users (
    username  TEXT PRIMARY KEY,
    source    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    name      TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('student', 'staff', 'admin')),
    UNIQUE (source, subject)
) STRICT, WITHOUT ROWID;

-- Sign-ins through a provider, until their tokens expire, so that the provider can end them.
CREATE TABLE provider_sign_ins (
    token       TEXT PRIMARY KEY,
    username    TEXT NOT NULL,
    source      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    -- the session at the provider, if it names one
    sid         TEXT,
    -- names the user when the hub sends the browser to the provider's sign-out
    id_token    TEXT,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX provider_sign_ins_by_subject ON provider_sign_ins (source, subject);
CREATE INDEX provider_sign_ins_by_sid ON provider_sign_ins (source, sid);
CREATE INDEX provider_sign_ins_by_expiry ON provider_sign_ins (expires_at);
