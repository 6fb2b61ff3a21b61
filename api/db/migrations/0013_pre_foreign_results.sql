-- migrate:up
-- A ministry's result is recorded with the system that issued it and its reference there (form c). Two columns are read
-- of each row for the check, a second at a million rows, before anybody notices.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE result ADD COLUMN foreign_system text;
COMMENT ON COLUMN result.foreign_system IS 'The ministry''s system that issued a result of form c; set with its reference there when it is recorded here.';
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE result ADD CONSTRAINT result_foreign_check
    CHECK (form <> 'c' OR state IN ('draft', 'dropped') OR (foreign_system IS NOT NULL AND foreign_reference IS NOT NULL));
GRANT UPDATE (foreign_system) ON result TO app;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
