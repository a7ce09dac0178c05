-- Reports of demonstrations that administrators shared by a link.
CREATE TABLE demo_reports (
    task       uuid PRIMARY KEY,
    -- JSON, as the link returns it
    report     text NOT NULL,
    shared_at  bigint NOT NULL
);
