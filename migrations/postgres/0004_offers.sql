-- Offers of seats to students on waitlists, as in migrations/sqlite/0024_offers.sql.

-- Whether and how long the term offers seats: a JSON object. For a member that it lacks, the college's setting applies.
ALTER TABLE terms ADD COLUMN offers text NOT NULL DEFAULT '{}';

-- The number of students who are offered a seat.
ALTER TABLE seats ADD COLUMN offered bigint NOT NULL DEFAULT 0 CHECK (offered >= 0);

ALTER TABLE registrations DROP CONSTRAINT registrations_standing_check;
ALTER TABLE registrations ADD CONSTRAINT registrations_standing_check
    CHECK (standing IN ('enrolled', 'offered', 'waitlisted', 'dropped'));
-- When an offer lapses, and when the student is reminded of it; null for other registrations. Once the reminder is
-- sent, its time is null.
ALTER TABLE registrations ADD COLUMN offer_until bigint;
ALTER TABLE registrations ADD COLUMN remind_at bigint;
ALTER TABLE registrations ADD CONSTRAINT registrations_offer_check
    CHECK ((standing = 'offered') = (offer_until IS NOT NULL));
