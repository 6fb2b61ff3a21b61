-- migrate:up
-- What an operator is told of a ticket is read under the worker's role: when each stage was, never what was signed or typed.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '30s';

GRANT SELECT (id, batch_id) ON step_up TO worker;
GRANT SELECT (request_id, attempt, prepared_at) ON preparation TO worker;
GRANT SELECT (request_id, attempt, source, received_at) ON signature_value TO worker;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
