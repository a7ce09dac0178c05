-- What students chose when joining a waitlist, as in migrations/sqlite/0027_waitlist_choices.sql.

-- For a waitlisted or offered student: a JSON object with the CRNs of `with`, `any_of` and `drop`; null without choices.
ALTER TABLE registrations ADD COLUMN choices text
    CONSTRAINT registrations_choices_check CHECK (choices IS NULL OR standing IN ('offered', 'waitlisted'));
