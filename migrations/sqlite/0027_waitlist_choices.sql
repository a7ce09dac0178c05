-- What students chose when joining a waitlist.

-- For a waitlisted or offered student: a JSON object with the CRNs of `with`, `any_of` and `drop`; null without choices.
ALTER TABLE registrations ADD COLUMN choices TEXT CHECK (choices IS NULL OR standing IN ('offered', 'waitlisted'));
