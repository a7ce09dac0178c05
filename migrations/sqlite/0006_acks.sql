-- Acknowledgements of alerts.

CREATE TABLE alert_acks (
    alert_id  TEXT NOT NULL,
    user      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (alert_id, user)
) STRICT, WITHOUT ROWID;
