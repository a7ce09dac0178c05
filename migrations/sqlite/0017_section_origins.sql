-- The CRN as the college writes it, if it contains characters that an id cannot contain, such as `AB 101-01`.
ALTER TABLE sections ADD COLUMN original_crn TEXT;

-- The status before an import cancelled the section; null if it is not cancelled, or if staff cancelled it.
ALTER TABLE sections ADD COLUMN cancelled_from TEXT;
