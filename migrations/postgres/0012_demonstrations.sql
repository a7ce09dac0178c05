-- One hub at a time runs a demonstration, and removes those of hubs that have ended.
INSERT INTO leaders (job, fence, until) VALUES ('demonstration', 0, '-infinity');
