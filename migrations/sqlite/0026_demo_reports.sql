-- Reports of demonstrations that administrators shared by a link.

CREATE TABLE demo_reports (
    task       TEXT PRIMARY KEY,
    -- JSON, as the link returns it
    report     TEXT NOT NULL,
    shared_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
