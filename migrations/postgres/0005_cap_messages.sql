-- Messages of the Common Alerting Protocol that were carried out, so that each is carried out once, and later messages
-- can refer to them.

CREATE TABLE cap_messages (
    sender      text COLLATE "C" NOT NULL,
    identifier  text COLLATE "C" NOT NULL,
    sent        bigint NOT NULL,
    -- The alert that it sent, corrected or cancelled; of several, the first.
    alert_id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (sender, identifier, sent)
);

CREATE INDEX cap_messages_by_alert ON cap_messages (alert_id);
