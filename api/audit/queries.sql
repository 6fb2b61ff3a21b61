-- name: append_audit
-- Write one plain row in the caller's transaction; the sealer chains committed rows later by xid.
INSERT INTO audit (at, actor_account_id, actor_post_id, actor_agency_id, process, action, subject_kind, subject_id,
                   detail, source, trace_id, canonical, digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::inet, $11, $12, $13);

-- name: append_view
-- Record that an official saw personal data, of what and why.
INSERT INTO view_log (at, account_id, post_id, subject_kind, subject_id, purpose)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: lock_sealer
-- One sealer at a time, though workers are many: whoever does not get it comes again in a second.
SELECT pg_try_advisory_xact_lock(7463001);

-- name: last_checkpoint
-- Where the chain stands.
SELECT body, signature FROM audit_checkpoint ORDER BY number DESC LIMIT 1;

-- name: checkpoint_body
-- What the database says of one checkpoint, to be held against the copy outside.
SELECT body FROM audit_checkpoint WHERE number = $1;

-- name: checkpoints_after
-- The checkpoints that a copy outside lacks, in order.
SELECT body, signature FROM audit_checkpoint WHERE number > $1 ORDER BY number LIMIT $2;

-- name: audit_keys
-- The public halves of the checkpoint keys, in the order in which each vouched for the next.
SELECT body, signature FROM audit_key ORDER BY ordinal;

-- name: insert_audit_key
-- Note a checkpoint key; its predecessor has signed the note.
INSERT INTO audit_key (id, body, signature) VALUES ($1, $2, $3);

-- name: rows_to_chain
-- The next committed rows: below the oldest running transaction nothing can appear any more, whatever an id says.
SELECT id, xid, recorded_at, digest
  FROM audit
 WHERE (xid, id) > ($1, $2) AND xid < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY xid, id
 LIMIT $3;

-- name: insert_links
-- Chain these rows.
INSERT INTO audit_chain (position, audit_id, hash)
SELECT position, audit_id, hash FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS chained (position, audit_id, hash);

-- name: insert_checkpoint
-- Keep a signed checkpoint, in the transaction of its links.
INSERT INTO audit_checkpoint (number, body, signature) VALUES ($1, $2, $3);

-- name: unsealed
-- How many rows are not chained yet (counted up to 10,000), how long the oldest has waited, and where this cluster's transactions stand.
SELECT count(*)::int AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(w.recorded_at)), 0)::float8 AS oldest_s,
       pg_snapshot_xmax(pg_current_snapshot()) AS next_xid
  FROM (SELECT recorded_at FROM audit WHERE (xid, id) > ($1, $2) ORDER BY xid, id LIMIT 10000) w;

-- name: chain
-- The chain with its rows after a position, in order, for whoever verifies or exports it.
SELECT c.position, c.audit_id, c.hash, a.at, a.recorded_at, a.actor_account_id, a.actor_post_id, a.actor_agency_id, a.process,
       a.action, a.subject_kind, a.subject_id, a.detail, a.source, a.trace_id, a.canonical, a.digest, a.xid
  FROM audit_chain c
  LEFT JOIN audit a ON a.id = c.audit_id
 WHERE c.position > $1
 ORDER BY c.position;

-- name: chain_length
-- How many links there are, for telling how far a verification has come.
SELECT coalesce(max(position), 0)::bigint FROM audit_chain;

-- name: never_chained
-- Rows that stand before the chain's end without having been chained.
SELECT a.id
  FROM audit a
 WHERE (a.xid, a.id) <= ($1, $2) AND NOT EXISTS (SELECT FROM audit_chain c WHERE c.audit_id = a.id)
 ORDER BY a.id;

-- name: checkpoint_before
-- The last checkpoint that was signed at or before an instant.
SELECT body, signature FROM audit_checkpoint WHERE (body::json->>'at')::timestamptz <= $1 ORDER BY number DESC LIMIT 1;

-- name: ended_rights
-- Every right that somebody no longer has: what a restore to an earlier moment must not give back.
SELECT 'factor' AS what, id, account_id, '' AS state, revoked_at AS ended_at FROM second_factor WHERE revoked_at IS NOT NULL
UNION ALL
SELECT 'passkey', id, account_id, '', revoked_at FROM passkey WHERE revoked_at IS NOT NULL
UNION ALL
SELECT 'certificate', id, NULL, '', revoked_at FROM certificate WHERE revoked_at IS NOT NULL
UNION ALL
SELECT 'mandate', id, NULL, '', revoked_at FROM mandate WHERE revoked_at IS NOT NULL
UNION ALL
SELECT 'post', id, NULL, '', valid_to FROM post_holding WHERE valid_to IS NOT NULL
UNION ALL
SELECT 'account', id, id, state, now() FROM account WHERE state <> 'active'
UNION ALL
SELECT CASE what WHEN 'account' THEN 'lock' ELSE 'loss' END, id, account_id, '', at FROM account_block WHERE what = 'factors' OR lifted_at IS NULL;

-- name: in_force
-- Which of these are in force, although they are said to have ended.
SELECT id FROM second_factor WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL
UNION ALL
SELECT id FROM passkey WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL
UNION ALL
SELECT id FROM certificate WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL
UNION ALL
SELECT id FROM mandate WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL
UNION ALL
SELECT id FROM post_holding WHERE id = ANY ($1::uuid[]) AND valid_to IS NULL
UNION ALL
SELECT id FROM account WHERE id = ANY ($1::uuid[]) AND state = 'active'
UNION ALL
SELECT id FROM account_block WHERE id = ANY ($1::uuid[]) AND lifted_at IS NOT NULL;
