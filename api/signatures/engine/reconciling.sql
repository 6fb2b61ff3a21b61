-- name: to_reconcile
-- Transactions at a holder that ended within a time and have not been held against its own account, the oldest first.
SELECT done.id, done.batch_id, done.outcome
  FROM holder_transaction done
 WHERE done.holder = $1 AND done.state = 'ended' AND done.ended_at BETWEEN $2 AND $3
   AND NOT EXISTS (SELECT 1 FROM key_use_check checked WHERE checked.transaction_id = done.id)
 ORDER BY done.ended_at
 LIMIT $4;

-- name: uses_of
-- What a key was used for in a transaction, and the value that was taken, where one was.
SELECT DISTINCT use.request_id, value.value
  FROM key_use use
  LEFT JOIN signature_value value ON value.request_id = use.request_id AND value.attempt = use.attempt
 WHERE use.transaction_id = $1;

-- name: insert_check
-- What came of it; the first word stays.
INSERT INTO key_use_check (transaction_id, found, checked_at) VALUES ($1, $2, $3) ON CONFLICT (transaction_id) DO NOTHING
RETURNING transaction_id;
