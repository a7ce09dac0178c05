-- Alerts, and the sequence in which they were sent.

CREATE TABLE alerts (
    id            TEXT PRIMARY KEY,
    -- title, message, priority, category, audience, starts_at, expires_at, requires_ack as JSON
    content       TEXT NOT NULL,
    source        TEXT NOT NULL,
    sender        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    -- Set while the alert is scheduled.
    due_at        INTEGER,
    expires_at    INTEGER,
    cancelled_at  INTEGER,
    -- The recipients: everyone, the bits of roles, and the users in alert_recipients.
    everyone      INTEGER NOT NULL,
    roles         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX alerts_due ON alerts (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE alert_log (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id  TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('alert', 'cancelled')),
    at        INTEGER NOT NULL,
    -- Whether everyone or a role receives it, and not only the users in alert_recipients.
    broad     INTEGER NOT NULL
) STRICT;

CREATE INDEX alert_log_broad ON alert_log (seq) WHERE broad = 1;

CREATE INDEX alert_log_by_alert ON alert_log (alert_id);

CREATE TABLE alert_recipients (
    user      TEXT NOT NULL,
    alert_id  TEXT NOT NULL,
    PRIMARY KEY (user, alert_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX alert_recipients_by_alert ON alert_recipients (alert_id);
