-- name: service_mode
-- What the API answers just now.
SELECT mode, reason, until, since
  FROM service_mode;

-- name: rate_limits
-- Where somebody may ask more or less often than by default.
SELECT agency_id, work, per_second, burst
  FROM rate_limit;

-- name: set_mode
-- From now on the API answers like this; only the owner may say so.
UPDATE service_mode
   SET mode = $1, reason = $2, until = $3, since = $4;

-- name: agency_of_code
-- The agency that bears a code now.
SELECT id
  FROM agency
 WHERE code = $1;

-- name: set_limit
-- From now on an agency (or with NULL every one) may ask so often for a class of work (or with NULL for each).
INSERT INTO rate_limit (agency_id, work, per_second, burst, reason, set_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (agency_id, work) DO UPDATE
   SET per_second = excluded.per_second, burst = excluded.burst, reason = excluded.reason, set_at = excluded.set_at;

-- name: drop_limit
-- Back to the default.
DELETE FROM rate_limit
 WHERE agency_id IS NOT DISTINCT FROM $1 AND work IS NOT DISTINCT FROM $2;
