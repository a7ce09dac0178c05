-- Imports and demonstrations of one hub, for the other hubs.

-- Whether a hub that does not run the import has requested its cancellation.
ALTER TABLE import_tasks ADD COLUMN cancel_requested boolean NOT NULL DEFAULT false;

-- The list of all errors of an import, as CSV. The hub that read the file has it as a file, too.
CREATE TABLE import_errors (
    task      text COLLATE "C" NOT NULL REFERENCES import_tasks (id) ON DELETE CASCADE,
    language  text COLLATE "C" NOT NULL CHECK (language IN ('en', 'es')),
    list      bytea NOT NULL,
    PRIMARY KEY (task, language)
);

-- The newest demonstration: one row at most.
CREATE TABLE newest_demonstration (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- JSON, as GET /api/v1/admin/demo returns it
    report      text NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
