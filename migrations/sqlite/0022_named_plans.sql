-- Several plans of a student, each with a name. What was stored before is the plan with the name 'default'.

ALTER TABLE plans RENAME TO plans_without_names;

CREATE TABLE plans (
    user      TEXT NOT NULL,
    name      TEXT NOT NULL,
    -- a JSON list in the student's order: section ids, and objects for sections with choices
    sections  TEXT NOT NULL,
    PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;

INSERT INTO plans (user, name, sections) SELECT user, 'default', sections FROM plans_without_names;

DROP TABLE plans_without_names;
