-- migrate:up
-- What has no natural key of its own (a new dossier, a file handed in) is protected by its intent for good.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE idempotency ADD COLUMN lasting boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN idempotency.lasting IS 'Never forgotten: the effect has no natural key, so a late repeat would have it twice.';

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
