-- Mappings of the columns of schedule files that staff saved by name. The built-in ones are part of the program.

CREATE TABLE import_profiles (
    name    TEXT PRIMARY KEY,
    title   TEXT NOT NULL,
    -- a JSON list of the names in the header
    header  TEXT NOT NULL,
    -- a JSON object: the field of each column
    map     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
