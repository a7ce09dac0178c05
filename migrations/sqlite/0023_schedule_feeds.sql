-- Feeds from which calendar programs read one student's schedule. The student creates and ends them.

CREATE TABLE schedule_feeds (
    user        TEXT PRIMARY KEY,
    -- SHA-256 of the secret in the address
    hash        BLOB NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
