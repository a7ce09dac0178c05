-- The jobs that run at one hub at a time, and which hub runs them.
CREATE TABLE leaders (
    job    text COLLATE "C" PRIMARY KEY,
    -- Rises each time a hub takes the job over. A write of the job states the number that its hub got, and is refused
    -- once another hub has a higher one.
    fence  bigint NOT NULL,
    -- The hub that took it over last; null before the first.
    hub    uuid,
    -- Until when no other hub takes it over, by the clock of the database.
    until  timestamptz NOT NULL,
    -- Makes raising the fence wait for open transactions that have checked it (FOR KEY SHARE). Renewals, which write only
    -- `until`, do not wait for them.
    UNIQUE (job, fence)
);

INSERT INTO leaders (job, fence, until) VALUES ('plone', 0, '-infinity');
