-- The people whose data was read, according to an entry of the audit trail, such as the students of a roster. Each of
-- them can see the entry.
CREATE TABLE audit_people (
    user      TEXT NOT NULL,
    audit_id  INTEGER NOT NULL,
    PRIMARY KEY (user, audit_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_people_by_entry ON audit_people (audit_id);

-- The acknowledgements of one person, for the export of that person's data and for erasure.
CREATE INDEX alert_acks_by_user ON alert_acks (user, alert_id);
