-- The limit of an account that is not staff at present, so that it applies again when the account becomes staff.
ALTER TABLE accounts ADD COLUMN former_subjects TEXT;

-- A person is identified by the issuer and the subject, not by the name of the provider in the settings. The issuer of an
-- older row is its source, until the hub starts with the settings of this provider.
CREATE TABLE provider_users_by_issuer (
    username  TEXT PRIMARY KEY,
    -- the provider of the last sign-in, such as oidc:keycloak
    source    TEXT NOT NULL,
    -- the name that the provider gives itself; proxy for the college's web server
    issuer    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    name      TEXT NOT NULL,
    role      TEXT NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    subjects  TEXT CHECK (subjects IS NULL OR role = 'staff'),
    -- identifies the settings that determined the rights; NULL for an older row
    mapping   TEXT,
    UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;

INSERT INTO provider_users_by_issuer
SELECT username, source, source, subject, name, role, subjects, NULL FROM provider_users;
DROP TABLE provider_users;
ALTER TABLE provider_users_by_issuer RENAME TO provider_users;

CREATE TABLE provider_sign_ins_by_issuer (
    token       TEXT PRIMARY KEY,
    username    TEXT NOT NULL,
    source      TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    -- the session at the provider, if it names one
    sid         TEXT,
    -- names the user when the hub sends the browser to the provider's sign-out; encrypted
    id_token    TEXT,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO provider_sign_ins_by_issuer
SELECT token, username, source, source, subject, sid, id_token, expires_at FROM provider_sign_ins;
DROP TABLE provider_sign_ins;
ALTER TABLE provider_sign_ins_by_issuer RENAME TO provider_sign_ins;
CREATE INDEX provider_sign_ins_by_subject ON provider_sign_ins (issuer, subject);
CREATE INDEX provider_sign_ins_by_sid ON provider_sign_ins (issuer, sid);
CREATE INDEX provider_sign_ins_by_expiry ON provider_sign_ins (expires_at);
