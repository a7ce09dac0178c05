-- How many times hubs that do not lead a job have requested that it run at once. The leader reads it when it renews its
-- lease.
ALTER TABLE leaders ADD COLUMN requests bigint NOT NULL DEFAULT 0;
