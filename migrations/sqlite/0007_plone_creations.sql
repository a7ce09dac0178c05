-- The fields with which the hub first tried to create a section in Plone, while it is not known whether Plone created
-- it. Where the section differs from them now, it was changed in the hub later.
CREATE TABLE plone_creations (
    term    TEXT NOT NULL,
    crn     TEXT NOT NULL,
    -- a JSON object: field to value
    fields  TEXT NOT NULL,
    PRIMARY KEY (term, crn)
) STRICT, WITHOUT ROWID;
