-- What several hubs need to follow each other.

-- The running hubs; seen_at is by the clock of the database. A hub that stops without removing its row is recognized by
-- the age of the row.
CREATE TABLE hubs (
    id       uuid PRIMARY KEY,
    seen_at  timestamptz NOT NULL DEFAULT now()
);

-- How many times rows of a term were changed without a commit of a registrar, which would raise seats_seq. Hubs that
-- have the term in memory load it again.
ALTER TABLE terms ADD COLUMN rewrites bigint NOT NULL DEFAULT 0;

-- The generation under which the newest import into a term stages its sections. An older import that still runs at
-- another hub can no longer stage or apply.
CREATE TABLE term_staging (
    term        text COLLATE "C" PRIMARY KEY,
    generation  bigint NOT NULL
);

-- The hub that runs an import.
ALTER TABLE import_tasks ADD COLUMN hub uuid;

-- The order in which tokens were revoked, from a counter that is locked until the commit, so that a follower that has
-- read all up to a position never misses one before it.
INSERT INTO counters (name, value) VALUES ('revocations', 1);
ALTER TABLE dead_tokens ADD COLUMN position bigint NOT NULL DEFAULT 1;
ALTER TABLE tokens_valid_from ADD COLUMN position bigint NOT NULL DEFAULT 1;
ALTER TABLE plone_sign_ins_ended ADD COLUMN position bigint NOT NULL DEFAULT 1;
CREATE INDEX dead_tokens_by_position ON dead_tokens (position);
CREATE INDEX tokens_valid_from_by_position ON tokens_valid_from (position);
CREATE INDEX plone_sign_ins_ended_by_position ON plone_sign_ins_ended (position);
