-- Offers of seats to students on waitlists.

-- Whether and how long the term offers seats: a JSON object. For a member that it lacks, the college's setting applies.
ALTER TABLE terms ADD COLUMN offers TEXT NOT NULL DEFAULT '{}';

-- The number of students who are offered a seat.
ALTER TABLE seats ADD COLUMN offered INTEGER NOT NULL DEFAULT 0 CHECK (offered >= 0);

-- A registration can be `offered`. SQLite cannot change the check of a column, so the table is recreated.
CREATE TABLE registrations_with_offers (
    term          TEXT NOT NULL,
    user          TEXT NOT NULL,
    crn           TEXT NOT NULL,
    standing      TEXT NOT NULL CHECK (standing IN ('enrolled', 'offered', 'waitlisted', 'dropped')),
    -- The queue number of a waitlisted student; 0 otherwise.
    place         INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    passed        TEXT,
    -- The commit that last wrote the row.
    seq           INTEGER NOT NULL DEFAULT 0,
    -- For a reserved seat, the group for which it is reserved.
    reserved_for  TEXT,
    -- When an offer lapses, and when the student is reminded of it; null for other registrations. Once the reminder is
    -- sent, its time is null.
    offer_until   INTEGER,
    remind_at     INTEGER,
    PRIMARY KEY (term, user, crn),
    CHECK ((standing = 'offered') = (offer_until IS NOT NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO registrations_with_offers (term, user, crn, standing, place, at, passed, seq, reserved_for)
    SELECT term, user, crn, standing, place, at, passed, seq, reserved_for FROM registrations;
DROP TABLE registrations;
ALTER TABLE registrations_with_offers RENAME TO registrations;

CREATE INDEX registrations_by_section ON registrations (term, crn, standing);
