-- The tables for terms, registrations, attempts, imports and the outbox, as in the embedded store (migrations/sqlite).
-- Times are milliseconds since the epoch; dates and structures are text; JSON is text, because it is compared as a
-- whole.

-- The id of each write, so that a commit whose reply is lost can be looked up. A fenced id was inserted by the lookup:
-- its write was not committed.
CREATE TABLE commits (
    id      uuid PRIMARY KEY,
    fenced  boolean NOT NULL,
    -- By the clock of the database, so that the clocks of hubs do not matter. Old ids are deleted.
    at      timestamptz NOT NULL DEFAULT now()
);

-- Counters that are locked until the commit, so that their numbers are visible in order. Not sequences, whose numbers
-- become visible out of order.
CREATE TABLE counters (
    name   text COLLATE "C" PRIMARY KEY,
    value  bigint NOT NULL
);

INSERT INTO counters (name, value) VALUES ('alert_log', 0);

CREATE TABLE terms (
    id           text COLLATE "C" PRIMARY KEY,
    title        text NOT NULL,
    starts_on    text,
    ends_on      text COLLATE "C",
    opens_at     bigint,
    closes_at    bigint,
    holidays     text NOT NULL,
    windows      text NOT NULL,
    cutoffs      text NOT NULL,
    -- The sequence of the term's last commit. The row is locked by each batch of the term.
    seats_seq    bigint NOT NULL,
    -- Sections of a higher generation are staged and not yet visible.
    generation   bigint NOT NULL,
    -- The commit that last wrote the term's own fields.
    changed_seq  bigint NOT NULL
) WITH (fillfactor = 50); -- Room for the new version of a row that each commit writes.

-- The commit that made a generation visible.
CREATE TABLE term_generations (
    term        text COLLATE "C" NOT NULL,
    generation  bigint NOT NULL,
    seq         bigint NOT NULL,
    PRIMARY KEY (term, generation)
);

-- A section's definition: the visible one is that of the highest generation up to the term's. `seq` is the commit that
-- wrote it, and 0 for a staged one.
CREATE TABLE sections (
    term                text COLLATE "C" NOT NULL,
    crn                 text COLLATE "C" NOT NULL,
    generation          bigint NOT NULL,
    seq                 bigint NOT NULL,
    original_crn        text,
    course              text COLLATE "C" NOT NULL,
    component           text NOT NULL,
    section             text,
    title               text,
    credits             bigint NOT NULL CHECK (credits >= 0),
    instructor          text,
    method              text,
    campus              text,
    meetings            text NOT NULL,
    capacity            bigint NOT NULL CHECK (capacity >= 0),
    waitlist_capacity   bigint NOT NULL CHECK (waitlist_capacity >= 0),
    status              text NOT NULL CHECK (status IN ('open', 'closed', 'cancelled')),
    cancelled_from      text,
    linked              text NOT NULL,
    cross_listed        text,
    reserved            text NOT NULL,
    restrictions        text NOT NULL,
    repeat_limit        bigint,
    prerequisites       text NOT NULL,
    outside_enrolled    bigint NOT NULL CHECK (outside_enrolled >= 0),
    outside_waitlisted  bigint NOT NULL CHECK (outside_waitlisted >= 0),
    file_enrolled       bigint,
    file_waitlisted     bigint,
    withdrawn           boolean NOT NULL,
    PRIMARY KEY (term, crn, generation)
);

-- Followers read each second what changed after their sequence.
CREATE INDEX sections_by_seq ON sections (term, seq);
CREATE INDEX sections_by_generation ON sections (term, generation);
CREATE INDEX sections_by_course ON sections (course);

-- The hub's own numbers of a section. A section without a row has none.
CREATE TABLE seats (
    term        text COLLATE "C" NOT NULL,
    crn         text COLLATE "C" NOT NULL,
    enrolled    bigint NOT NULL CHECK (enrolled >= 0),
    waitlisted  bigint NOT NULL CHECK (waitlisted >= 0),
    reserved    text,
    seq         bigint NOT NULL,
    PRIMARY KEY (term, crn)
);

CREATE INDEX seats_by_seq ON seats (term, seq);

CREATE TABLE registrations (
    term          text COLLATE "C" NOT NULL,
    username      text COLLATE "C" NOT NULL,
    crn           text COLLATE "C" NOT NULL,
    standing      text NOT NULL CHECK (standing IN ('enrolled', 'waitlisted', 'dropped')),
    -- The queue number of a waitlisted student; 0 otherwise.
    place         bigint NOT NULL,
    at            bigint NOT NULL,
    passed        text,
    reserved_for  text,
    seq           bigint NOT NULL,
    PRIMARY KEY (term, username, crn)
);

CREATE INDEX registrations_by_section ON registrations (term, crn, standing);
CREATE INDEX registrations_by_seq ON registrations (term, seq);

-- What the college states about students, in all terms.
CREATE TABLE students (
    username  text COLLATE "C" PRIMARY KEY,
    facts     text NOT NULL
);

-- The students whose facts a commit of a term changed or removed, so that followers of the term read only these.
CREATE TABLE term_facts (
    term      text COLLATE "C" NOT NULL,
    username  text COLLATE "C" NOT NULL,
    seq       bigint NOT NULL,
    PRIMARY KEY (term, username)
);

CREATE INDEX term_facts_by_seq ON term_facts (term, seq);

CREATE TABLE attempts (
    term            text COLLATE "C" NOT NULL,
    -- From 1, without gaps.
    n               bigint NOT NULL,
    received_at     bigint NOT NULL,
    decided_at      bigint NOT NULL,
    -- attempt_students.id
    student         bigint NOT NULL,
    crn             text COLLATE "C" NOT NULL,
    -- 0 register, 1 drop, 2 promote, 3 lapse, 4 reorder
    action          bigint NOT NULL,
    result          text NOT NULL,
    repeated        boolean NOT NULL,
    position        bigint,
    open            bigint,
    -- 0 self, 1 staff, 2 promotion, 3 system
    asker           bigint NOT NULL,
    request_id      uuid,
    -- The attempt before this one of the student, and of the section; 0 for the first.
    before_student  bigint NOT NULL,
    before_section  bigint NOT NULL,
    hash            bytea NOT NULL,
    PRIMARY KEY (term, n)
);

-- The end of each chain, and where it begins after old attempts were deleted.
CREATE TABLE attempt_chains (
    term          text COLLATE "C" PRIMARY KEY,
    n             bigint NOT NULL,
    head          bytea NOT NULL,
    -- The last attempt when attempt_heads was written.
    heads_at      bigint NOT NULL,
    -- The last deleted attempt and its hash; 0 and 32 zero bytes while there is none.
    deleted       bigint NOT NULL,
    deleted_hash  bytea NOT NULL
) WITH (fillfactor = 50);

-- The students of a term's attempts. An erasure replaces the name and deletes the salt, and the commitment stays.
CREATE TABLE attempt_students (
    term        text COLLATE "C" NOT NULL,
    id          bigint NOT NULL,
    username    text COLLATE "C" NOT NULL,
    salt        bytea,
    commitment  bytea NOT NULL,
    PRIMARY KEY (term, id)
);

CREATE INDEX attempt_students_by_user ON attempt_students (username, term);

-- The newest attempt of each student (crn is empty) and each section (student is 0), as of attempt_chains.heads_at.
CREATE TABLE attempt_heads (
    term     text COLLATE "C" NOT NULL,
    student  bigint NOT NULL,
    crn      text COLLATE "C" NOT NULL,
    n        bigint NOT NULL,
    PRIMARY KEY (term, student, crn)
);

CREATE TABLE plans (
    username  text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    -- a JSON list in the student's order: section ids, and objects for sections with choices
    sections  text NOT NULL,
    PRIMARY KEY (username, name)
);

CREATE TABLE events (
    id           text COLLATE "C" PRIMARY KEY,
    title        text NOT NULL,
    program      text,
    starts_at    bigint NOT NULL,
    ends_at      bigint,
    location     text,
    instructor   text,
    description  text
);

CREATE INDEX events_by_start ON events (starts_at, id);

CREATE TABLE import_tasks (
    id           text COLLATE "C" PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    started_at   bigint NOT NULL,
    finished_at  bigint,
    -- the task as GET /api/v1/imports/{task} returns it
    body         text NOT NULL
);

-- Each section's item in Plone, as last pulled or written.
CREATE TABLE plone_items (
    term      text COLLATE "C" NOT NULL,
    crn       text COLLATE "C" NOT NULL,
    uid       text COLLATE "C" NOT NULL UNIQUE,
    path      text NOT NULL,
    modified  bigint NOT NULL,
    -- a JSON object: field to value
    fields    text NOT NULL,
    deleted   boolean NOT NULL,
    PRIMARY KEY (term, crn)
);

-- Sections whose newest state is not in Plone yet.
CREATE TABLE plone_outbox (
    term        text COLLATE "C" NOT NULL,
    crn         text COLLATE "C" NOT NULL,
    -- increases with each change; an entry is deleted only in the version that was sent
    version     bigint NOT NULL,
    queued_at   bigint NOT NULL,
    attempts    bigint NOT NULL,
    next_at     bigint NOT NULL,
    -- whether the section has no item in Plone yet: those that have one come first
    is_new      boolean NOT NULL,
    -- why Plone refused it permanently; null while it waits to be sent
    refused     text,
    refused_at  bigint,
    PRIMARY KEY (term, crn)
);

CREATE INDEX plone_outbox_due ON plone_outbox (is_new, next_at) WHERE refused IS NULL;

CREATE TABLE plone_notes (
    name   text COLLATE "C" PRIMARY KEY,
    value  text NOT NULL
);

-- The fields with which the hub first tried to create a section in Plone, while it is not known whether Plone created
-- it.
CREATE TABLE plone_creations (
    term    text COLLATE "C" NOT NULL,
    crn     text COLLATE "C" NOT NULL,
    -- a JSON object: field to value
    fields  text NOT NULL,
    PRIMARY KEY (term, crn)
);
