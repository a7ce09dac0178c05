-- Links by which a parent or guardian reads one student's schedule. The student creates and removes them.

CREATE TABLE guardian_links (
    id          TEXT PRIMARY KEY,
    user        TEXT NOT NULL,
    -- the student's own note, such as "Mom"
    label       TEXT NOT NULL,
    -- SHA-256 of the secret in the link
    hash        BLOB NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX guardian_links_by_user ON guardian_links (user);
CREATE INDEX guardian_links_by_expiry ON guardian_links (expires_at);
