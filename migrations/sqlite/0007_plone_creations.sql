-- What a section was first about to be made with in Plone, while it is not known whether Plone made it: whatever else
-- the hub says of it by now was changed here later.
CREATE TABLE plone_creations (
    term    TEXT NOT NULL,
    crn     TEXT NOT NULL,
    -- a JSON object: field to value
    fields  TEXT NOT NULL,
    PRIMARY KEY (term, crn)
) STRICT, WITHOUT ROWID;
