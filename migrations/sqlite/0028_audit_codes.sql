-- The code and the values of the details in the audit trail.

-- JSON beside the English text: an object with `code` and `args`; null for a detail without a code, and in entries of
-- earlier versions.
ALTER TABLE audit ADD COLUMN coded TEXT;
