-- name: try_lock_intent
-- Hold this intent until the transaction ends, or learn at once that a twin holds it.
SELECT pg_try_advisory_xact_lock(hashtextextended($1, 2));

-- name: find_intent
-- Find the answer an intent was given before.
SELECT body_sha256, status, answer FROM idempotency WHERE actor = $1 AND route = $2 AND key = $3;

-- name: insert_intent
-- Keep the answer in the transaction of the effect.
INSERT INTO idempotency (actor, route, key, body_sha256, status, answer, created_at, lasting)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: forget_intents
-- Forget old answers, some at a time; natural keys go on protecting their effects, and lasting intents are kept.
DELETE FROM idempotency
 WHERE (actor, route, key) IN (SELECT actor, route, key FROM idempotency WHERE created_at < $1 AND NOT lasting LIMIT $2);
