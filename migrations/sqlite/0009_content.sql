-- The checksum of all rows, so that damage is noticed. One row, which every commit that changes a row writes.
CREATE TABLE content (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    -- A random id. A backup has the id of its store.
    store     TEXT NOT NULL,
    -- Commits that changed a row.
    commits   INTEGER NOT NULL,
    -- 16 bytes, little-endian.
    checksum  BLOB NOT NULL
) STRICT;
