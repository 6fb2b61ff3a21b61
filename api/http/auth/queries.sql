-- name: find_sessions
-- Find the sessions of requests that came together, each with everything a request needs of it, in one round trip.
SELECT s.token_sha256, s.id, s.account_id, a.person_id, s.post_id, p.agency_id, p.roles, s.seen_at, s.expires_at, s.ended_at, s.restricted,
       a.state = 'active'
       AND NOT EXISTS (SELECT 1 FROM account_block b WHERE b.account_id = a.id AND b.what = 'account' AND b.lifted_at IS NULL)
       AND p.valid_from <= $3 AND (p.valid_to IS NULL OR p.valid_to > $3)
       AND EXISTS (SELECT 1 FROM post_holding h
                    WHERE h.person_id = a.person_id AND h.post_id = s.post_id
                      AND h.valid_from <= $2 AND (h.valid_to IS NULL OR h.valid_to > $2)) AS entitled
  FROM session s
  JOIN account a ON a.id = s.account_id
  JOIN post p ON p.id = s.post_id
 WHERE s.token_sha256 = ANY ($1::bytea[]);

-- name: touch_session
-- Note that a session is in use; at most once a minute.
UPDATE session SET seen_at = $2 WHERE id = $1 AND seen_at < $2;

-- name: insert_session
-- Open a session; only the keyed hash of its token is kept, with the id of the key.
INSERT INTO session (token_sha256, key_id, account_id, post_id, created_at, seen_at, expires_at, source, user_agent, restricted)
VALUES ($1, $8, $2, $3, $4, $4, $5, $6, $7, $9)
RETURNING id;

-- name: end_session
-- End one session.
UPDATE session SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL;

-- name: list_sessions
-- The open sessions of an account, the last used first; a hundred are enough to see that something is wrong.
SELECT s.id AS session_id, s.id = $2 AS this, p.title, s.created_at AS began_at, s.seen_at, s.expires_at, host(s.source) AS source, s.user_agent
  FROM session s
  JOIN post p ON p.id = s.post_id
 WHERE s.account_id = $1 AND s.ended_at IS NULL AND s.expires_at > $3 AND s.seen_at > $4
 ORDER BY s.seen_at DESC, s.id DESC
 LIMIT 100;

-- name: end_own_session
-- End one session of this account, if it is one of its own.
UPDATE session SET ended_at = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL RETURNING id;

-- name: end_other_sessions
-- End every session of an account but one, or with NULL every one: after a change of password, a loss, a lock.
UPDATE session SET ended_at = $3 WHERE account_id = $1 AND id IS DISTINCT FROM $2 AND ended_at IS NULL RETURNING id;

-- name: free_session
-- The one-time password has been changed: the session may do what its post may.
UPDATE session SET restricted = false WHERE id = $1;

-- name: switch_post
-- Act in another post from now on.
UPDATE session SET post_id = $2 WHERE id = $1 AND ended_at IS NULL;

-- name: lock_attempts
-- Let one attempt of this account from this source go at a time, so that parallel guesses are counted too.
SELECT pg_advisory_xact_lock(hashtextextended(a.one, 1)) FROM (SELECT one FROM unnest($1::text[]) AS one ORDER BY one) a;

-- name: count_failures
-- Count the failures of an account from a source since its last success.
SELECT count(*)::int AS failures, max(f.at) AS last_failure
  FROM login_attempt f
 WHERE f.login_fingerprint = ANY ($1::bytea[]) AND f.source IS NOT DISTINCT FROM $2 AND NOT f.succeeded AND f.at > $3
   AND f.id > coalesce((SELECT max(s.id) FROM login_attempt s
                         WHERE s.login_fingerprint = ANY ($1::bytea[]) AND s.source IS NOT DISTINCT FROM $2 AND s.succeeded
                           AND s.at > $3), 0);

-- name: count_strangers
-- How often sources from which nobody has lately logged in to an account failed at it, and whether this source is one.
SELECT NOT EXISTS (SELECT 1 FROM login_attempt k
                    WHERE k.login_fingerprint = ANY ($1::bytea[]) AND k.source IS NOT DISTINCT FROM $2 AND k.succeeded
                      AND k.at > $4) AS stranger,
       count(*)::int AS failures, max(f.at) AS last_failure
  FROM login_attempt f
 WHERE f.login_fingerprint = ANY ($1::bytea[]) AND NOT f.succeeded AND f.at > $3
   AND NOT EXISTS (SELECT 1 FROM login_attempt k
                    WHERE k.login_fingerprint = ANY ($1::bytea[]) AND k.source IS NOT DISTINCT FROM f.source
                      AND k.succeeded AND k.at > $4);

-- name: insert_attempt
-- Count an attempt; it counts as failed until its success is written.
INSERT INTO login_attempt (login_fingerprint, source, succeeded, at) VALUES ($1, $2, $3, $4);

-- name: find_login
-- Find an account by its log-in, with the hash of its password.
SELECT a.id AS account_id, a.person_id, p.argon2, p.one_time_until,
       CASE WHEN a.state = 'active' AND EXISTS (SELECT 1 FROM account_block b WHERE b.account_id = a.id AND b.what = 'account'
                                                   AND b.lifted_at IS NULL) THEN 'locked' ELSE a.state END AS state
  FROM account a
  LEFT JOIN account_password p ON p.account_id = a.id
 WHERE a.login = $1;

-- name: find_password
-- Find the password hash of an account.
SELECT argon2 FROM account_password WHERE account_id = $1;

-- name: save_password
-- Keep a new password hash; with an instant, it is a one-time password until then.
INSERT INTO account_password (account_id, argon2, changed_at, one_time_until) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id) DO UPDATE SET argon2 = excluded.argon2, changed_at = excluded.changed_at, one_time_until = excluded.one_time_until;

-- name: list_posts
-- List the posts a person holds at this instant, at home or elsewhere.
SELECT p.id AS post_id, p.title, p.unit, p.rank, p.roles, p.agency_id, g.code AS agency_code, g.name AS agency_name
  FROM post_holding h
  JOIN post p ON p.id = h.post_id
  JOIN agency g ON g.id = p.agency_id
 WHERE h.person_id = $1
   AND h.valid_from <= $2 AND (h.valid_to IS NULL OR h.valid_to > $2)
   AND p.valid_from <= $3 AND (p.valid_to IS NULL OR p.valid_to > $3)
 ORDER BY h.valid_from, p.id;

-- name: find_account
-- Find the log-in and the name in public office of an account.
SELECT a.login, o.display_name
  FROM account a
  LEFT JOIN official o ON o.person_id = a.person_id
 WHERE a.id = $1;

-- name: list_changes
-- What proposals changed about an account since then, the latest first.
SELECT id AS proposal_id, kind, decided_at
  FROM proposal
 WHERE subject_account_id = $1 AND state = 'applied' AND decided_at > $2
 ORDER BY decided_at DESC
 LIMIT 20;
