-- The code and the values of the details in the audit trail, as in migrations/sqlite/0028_audit_codes.sql.
ALTER TABLE audit ADD COLUMN coded text;
