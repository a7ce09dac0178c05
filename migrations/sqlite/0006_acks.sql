-- Who has said that they saw an alert.

CREATE TABLE alert_acks (
    alert_id  TEXT NOT NULL,
    user      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (alert_id, user)
) STRICT, WITHOUT ROWID;
