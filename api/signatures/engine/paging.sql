-- name: insert_page
-- The page on which a person authorises a transaction; told again it is the same row.
INSERT INTO holder_page (state, transaction_id, url, opened_at) VALUES ($1, $2, $3, $4) ON CONFLICT (state) DO NOTHING;

-- name: page_answer
-- What a browser brought back from a page, with the transaction that it was opened for.
SELECT answer.state, answer.code, answer.error, answer.issuer, page.transaction_id
  FROM page_answer answer
  JOIN holder_page page ON page.state = answer.state
 WHERE answer.state = $1;
