-- name: take_intent
-- Hold this intent until the transaction ends, or learn at once that a twin holds it; and find the answer given before.
SELECT mine, body_sha256 AS kept_sha256, status AS kept_status, answer AS kept_answer FROM take_intent($1, $2, $3);

-- name: insert_intent
-- Keep the answer in the transaction of the effect.
INSERT INTO idempotency (actor, route, key, body_sha256, status, answer, created_at, lasting)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: forget_intents
-- Forget old answers, some at a time; natural keys go on protecting their effects, and lasting intents are kept.
DELETE FROM idempotency
 WHERE (actor, route, key) IN (SELECT actor, route, key FROM idempotency WHERE created_at < $1 AND NOT lasting LIMIT $2);
