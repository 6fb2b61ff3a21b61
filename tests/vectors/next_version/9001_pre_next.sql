-- migrate:up
-- A recorded next version, additive as every `pre` migration: new columns beside old ones, a new table, a new right.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE signature_request ADD COLUMN next_hint text;
ALTER TABLE preparation ADD COLUMN next_level text NOT NULL DEFAULT 'B-B';
ALTER TABLE signature_value ADD COLUMN next_level text;
ALTER TABLE signature_batch ADD COLUMN next_hint jsonb NOT NULL DEFAULT '{}';
ALTER TABLE document ADD COLUMN next_hint text;
ALTER TABLE dossier ADD COLUMN next_flag boolean NOT NULL DEFAULT false;
ALTER TABLE journal ADD COLUMN next_note text;
ALTER TABLE number ADD COLUMN next_note text;

CREATE TABLE next_thing (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    request_id uuid NOT NULL
);
COMMENT ON TABLE next_thing IS 'What only the next version knows.';
GRANT SELECT ON next_thing TO app, signer;

-- migrate:down
-- Forward only.
