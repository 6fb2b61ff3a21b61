-- migrate:up
-- What the recorded next version removes once its predecessor is gone: a column that today's code still writes.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE signature_request DROP COLUMN turn;

-- migrate:down
-- Forward only.
