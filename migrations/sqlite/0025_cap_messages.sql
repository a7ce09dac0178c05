-- Messages of the Common Alerting Protocol that were carried out, so that each is carried out once, and later messages
-- can refer to them.

CREATE TABLE cap_messages (
    sender      TEXT NOT NULL,
    identifier  TEXT NOT NULL,
    sent        INTEGER NOT NULL,
    -- The alert that it sent, corrected or cancelled; of several, the first.
    alert_id    TEXT NOT NULL,
    PRIMARY KEY (sender, identifier, sent)
) STRICT, WITHOUT ROWID;

CREATE INDEX cap_messages_by_alert ON cap_messages (alert_id);
