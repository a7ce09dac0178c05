-- Sign-ins that their users can see and end, second factors of local accounts, and the one token that a user keeps when
-- changing the password.

ALTER TABLE tokens_valid_from ADD COLUMN spared TEXT;

CREATE TABLE sign_ins (
    -- the id of the token
    id          TEXT PRIMARY KEY,
    user        TEXT NOT NULL,
    device      TEXT NOT NULL,
    address     TEXT NOT NULL,
    since       INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE second_factors (
    username   TEXT PRIMARY KEY,
    -- encrypted with a key that is derived from the secret of the hub
    secret     BLOB NOT NULL,
    -- the time step of the last code that was used
    last_step  INTEGER NOT NULL,
    since      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Recovery codes that have not been used yet.
CREATE TABLE recovery_codes (
    username  TEXT NOT NULL,
    hash      BLOB NOT NULL,
    PRIMARY KEY (username, hash)
) STRICT, WITHOUT ROWID;
