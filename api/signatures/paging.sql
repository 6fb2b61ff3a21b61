-- name: page_place
-- Whose a page is, and whether it still waits.
SELECT due.holder, due.id AS transaction_id, due.batch_id, due.state, due.expires_at, batch.account_id, batch.session_id,
       EXISTS (SELECT 1 FROM page_answer answer WHERE answer.state = page.state) AS answered,
       EXISTS (SELECT 1 FROM holder_page newer WHERE newer.transaction_id = page.transaction_id AND newer.opened_at > page.opened_at) AS replaced
  FROM holder_page page
  JOIN holder_transaction due ON due.id = page.transaction_id
  JOIN signature_batch batch ON batch.id = due.batch_id
 WHERE page.state = $1;

-- name: insert_page_answer
-- What the browser brought back; only the first counts.
INSERT INTO page_answer (state, code, error, issuer, account_id) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (state) DO NOTHING
RETURNING state;
