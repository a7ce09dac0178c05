-- The sequence of the commit that last wrote a row, so that a reader can read what changed since a sequence. There is
-- no index on these columns: every registration would have to maintain it. No other hub follows the embedded store, so
-- a scan of the term is fast enough. Rows from before this migration have 0. That is exact for every reader, because a
-- reader first loads a term and then reads what changed later.

-- Of a term: the commit that last wrote its own fields; seats_seq grows with every commit.
ALTER TABLE terms ADD COLUMN changed_seq INTEGER NOT NULL DEFAULT 0;
-- 0 for a staged section, which changes with the commit that makes its generation visible (term_generations).
ALTER TABLE sections ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE seats ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registrations ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;

-- The commit that made a generation visible. An import stages its rows earlier: writing up to a hundred thousand of
-- them again in that commit would delay registrations for a second.
CREATE TABLE term_generations (
    term        TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (term, generation)
) STRICT, WITHOUT ROWID;
