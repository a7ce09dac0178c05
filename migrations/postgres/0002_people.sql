-- Accounts, sign-ins, the audit trail, links, import profiles, and alerts.
-- Times are milliseconds since the epoch; structures are JSON as text, because jsonb rejects the character U+0000.
-- Names and ids are compared by bytes (COLLATE "C"), as the embedded store does, whatever the database's locale is.

CREATE TABLE accounts (
    username         text COLLATE "C" PRIMARY KEY,
    name             text NOT NULL,
    role             text NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    password_hash    text NOT NULL,
    -- The subjects to which staff are limited: a JSON list; NULL means no limit.
    subjects         text CHECK (subjects IS NULL OR role = 'staff'),
    -- The limit of an account that is not staff at present.
    former_subjects  text
);

CREATE TABLE people (
    username   text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    role       text NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    -- local, plone, token, proxy, or `oidc:` followed by the name of the provider
    source     text NOT NULL CHECK (source IN ('local', 'plone', 'token', 'proxy') OR source LIKE 'oidc:_%'),
    last_seen  bigint NOT NULL
);

-- Tokens that were revoked one by one, until they expire.
CREATE TABLE dead_tokens (
    id          uuid PRIMARY KEY,
    expires_at  bigint NOT NULL
);

CREATE INDEX dead_tokens_by_expiry ON dead_tokens (expires_at);

-- Tokens of a user that were issued up to this time are revoked, except one.
CREATE TABLE tokens_valid_from (
    username    text COLLATE "C" PRIMARY KEY,
    valid_from  bigint NOT NULL,
    spared      uuid
);

CREATE TABLE sign_ins (
    -- the id of the token
    id          uuid PRIMARY KEY,
    username    text COLLATE "C" NOT NULL,
    device      text NOT NULL,
    address     text NOT NULL,
    since       bigint NOT NULL,
    last_seen   bigint NOT NULL,
    expires_at  bigint NOT NULL
);

CREATE INDEX sign_ins_by_user ON sign_ins (username);
CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_at);

CREATE TABLE second_factors (
    username   text COLLATE "C" PRIMARY KEY,
    -- encrypted with a key that is derived from the secret of the hub
    secret     bytea NOT NULL,
    -- the time step of the last code that was used
    last_step  bigint NOT NULL,
    since      bigint NOT NULL
);

-- Recovery codes that have not been used yet.
CREATE TABLE recovery_codes (
    username  text COLLATE "C" NOT NULL,
    hash      bytea NOT NULL,
    PRIMARY KEY (username, hash)
);

-- Users who signed in through Plone.
CREATE TABLE plone_members (
    username       text COLLATE "C" PRIMARY KEY,
    -- the name that was typed at the last successful sign-in
    login          text COLLATE "C" NOT NULL,
    name           text NOT NULL,
    role           text NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    token          text,
    password_hash  text,
    signed_in_at   bigint NOT NULL,
    subjects       text CHECK (subjects IS NULL OR role = 'staff')
);

CREATE INDEX plone_members_by_login ON plone_members (login);

-- Sign-ins through Plone up to this time have ended.
CREATE TABLE plone_sign_ins_ended (
    username  text COLLATE "C" PRIMARY KEY,
    at        bigint NOT NULL
);

-- The person at a provider to whom a username belongs. Issuer and subject never change; the name at the provider may.
CREATE TABLE provider_users (
    username  text COLLATE "C" PRIMARY KEY,
    -- the provider of the last sign-in, such as oidc:keycloak
    source    text COLLATE "C" NOT NULL,
    -- the name that the provider gives itself; proxy for the college's web server
    issuer    text COLLATE "C" NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    name      text NOT NULL,
    role      text NOT NULL CHECK (role IN ('student', 'instructor', 'staff', 'admin')),
    subjects  text CHECK (subjects IS NULL OR role = 'staff'),
    -- identifies the settings that determined the rights
    mapping   text,
    UNIQUE (issuer, subject)
);

-- Sign-ins through a provider, until their tokens expire, so that the provider can end them.
CREATE TABLE provider_sign_ins (
    token       uuid PRIMARY KEY,
    username    text COLLATE "C" NOT NULL,
    source      text COLLATE "C" NOT NULL,
    issuer      text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    -- the session at the provider, if it names one
    sid         text COLLATE "C",
    -- names the user when the hub sends the browser to the provider's sign-out; encrypted
    id_token    text,
    expires_at  bigint NOT NULL
);

CREATE INDEX provider_sign_ins_by_subject ON provider_sign_ins (issuer, subject);
CREATE INDEX provider_sign_ins_by_sid ON provider_sign_ins (issuer, sid);
CREATE INDEX provider_sign_ins_by_user ON provider_sign_ins (username);
CREATE INDEX provider_sign_ins_by_expiry ON provider_sign_ins (expires_at);

-- The numbers come from a sequence: they may have gaps, and an entry may become visible after one with a higher number.
-- No reader follows the trail by number, and a counter row would order the commits of all terms.
CREATE TABLE audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          bigint NOT NULL,
    username    text COLLATE "C",
    role        text,
    ip          text,
    action      text COLLATE "C" NOT NULL,
    subject     text COLLATE "C",
    section     text COLLATE "C",
    detail      text COLLATE "C" NOT NULL,
    request_id  text
);

CREATE INDEX audit_by_user ON audit (username, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_at ON audit (at, id);
CREATE INDEX audit_by_subject ON audit (subject, id);

-- The people whose data was read, according to an entry of the audit trail.
CREATE TABLE audit_people (
    username  text COLLATE "C" NOT NULL,
    audit_id  bigint NOT NULL REFERENCES audit ON DELETE CASCADE,
    PRIMARY KEY (username, audit_id)
);

CREATE INDEX audit_people_by_entry ON audit_people (audit_id);

-- Links by which a parent or guardian reads one student's schedule.
CREATE TABLE guardian_links (
    id          uuid PRIMARY KEY,
    username    text COLLATE "C" NOT NULL,
    -- the student's own note
    label       text NOT NULL,
    -- SHA-256 of the secret in the link
    hash        bytea NOT NULL UNIQUE,
    created_at  bigint NOT NULL,
    expires_at  bigint NOT NULL
);

CREATE INDEX guardian_links_by_user ON guardian_links (username);
CREATE INDEX guardian_links_by_expiry ON guardian_links (expires_at);

-- Mappings of the columns of schedule files that staff saved by name.
CREATE TABLE import_profiles (
    name    text COLLATE "C" PRIMARY KEY,
    title   text NOT NULL,
    -- a JSON list of the names in the header
    header  text NOT NULL,
    -- a JSON object: the field of each column
    map     text NOT NULL
);

CREATE TABLE alerts (
    id            text COLLATE "C" PRIMARY KEY,
    -- title, message, priority, category, audience, starts_at, expires_at, requires_ack as JSON
    content       text COLLATE "C" NOT NULL,
    source        text NOT NULL,
    sender        text COLLATE "C" NOT NULL,
    -- The sender's display name; NULL for a sender without one.
    sender_name   text,
    created_at    bigint NOT NULL,
    -- Set while the alert is scheduled.
    due_at        bigint,
    expires_at    bigint,
    cancelled_at  bigint,
    -- The recipients: everyone, the bits of roles, and the users in alert_recipients.
    everyone      boolean NOT NULL,
    roles         bigint NOT NULL
);

CREATE INDEX alerts_due ON alerts (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX alerts_by_sender ON alerts (sender);

-- The sequence of alerts. Its last position is in `counters`, in a row that each commit that adds entries locks until
-- it ends. So the order of positions is the order of commits, without gaps: a reader that has read all entries up to a
-- position never misses one before it.
CREATE TABLE alert_log (
    seq       bigint PRIMARY KEY,
    alert_id  text COLLATE "C" NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('alert', 'cancelled')),
    at        bigint NOT NULL,
    -- Whether everyone or a role receives it, and not only the users in alert_recipients.
    broad     boolean NOT NULL
);

CREATE INDEX alert_log_broad ON alert_log (seq) WHERE broad;
CREATE INDEX alert_log_by_alert ON alert_log (alert_id);
CREATE INDEX alert_log_by_at ON alert_log (at);

-- The recipients by name, section and course, resolved when the alert is sent.
CREATE TABLE alert_recipients (
    username  text COLLATE "C" NOT NULL,
    alert_id  text COLLATE "C" NOT NULL,
    -- The parts of the audience to which the recipient belongs, such as `u s0 c2`.
    parts     text NOT NULL,
    PRIMARY KEY (username, alert_id)
);

CREATE INDEX alert_recipients_by_alert ON alert_recipients (alert_id, username);

CREATE TABLE alert_acks (
    alert_id  text COLLATE "C" NOT NULL,
    username  text COLLATE "C" NOT NULL,
    at        bigint NOT NULL,
    PRIMARY KEY (alert_id, username)
);

CREATE INDEX alert_acks_by_user ON alert_acks (username, alert_id);

-- Feeds from which calendar programs read one student's schedule. The student creates and ends them.
CREATE TABLE schedule_feeds (
    username    text COLLATE "C" PRIMARY KEY,
    -- SHA-256 of the secret in the address
    hash        bytea NOT NULL UNIQUE,
    created_at  bigint NOT NULL
);
