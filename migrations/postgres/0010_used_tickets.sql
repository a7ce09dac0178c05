-- Used tickets for live sessions, stored so that no hub accepts one a second time. Their age is measured by the clock
-- of the database.
CREATE TABLE used_tickets (
    id  uuid PRIMARY KEY,
    at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX used_tickets_by_age ON used_tickets (at);
