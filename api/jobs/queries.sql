-- name: enqueue
-- Put jobs in within the caller's transaction; one that waits or runs under the same dedupe key is not put in again.
INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, status)
SELECT t.priority, t.kind, t.payload, now() + t.after, t.dedupe_key, 'queued'
  FROM unnest($1::int[], $2::text[], $3::bytea[], $4::interval[], $5::text[])
       AS t (priority, kind, payload, after, dedupe_key)
ON CONFLICT (dedupe_key)
   WHERE ((status = ANY (ARRAY['queued'::pgqueuer_status, 'picked'::pgqueuer_status])) AND (dedupe_key IS NOT NULL))
   DO NOTHING
RETURNING id;

-- name: withdraw
-- Take jobs out of the queue that nobody has begun; whoever is about to begin one finds nothing to do.
DELETE FROM pgqueuer
 WHERE id IN (SELECT id FROM pgqueuer WHERE dedupe_key = ANY ($1::text[]) AND status = 'queued' FOR UPDATE SKIP LOCKED);

-- name: claim
-- Count beginnings, committed before the work begins; a parked piece of work is not counted on. Work that was begun $4 times
-- and neither finished nor failed in order, since its process died or it still runs, is suspect: it is not counted here, and comes
-- again to run alone ($3). The count begins anew with the database: what its end broke off is no fault of the work; after a
-- crash of one backend all others go too, and the statistics begin anew while the postmaster stays.
INSERT INTO job_claim AS c (key, kind)
SELECT begun.key, begun.kind FROM unnest($1::text[], $2::text[]) AS begun (key, kind)
ON CONFLICT (key) DO UPDATE
   SET claims = CASE WHEN c.parked_at IS NOT NULL THEN c.claims
                     WHEN c.last_claimed_at
                          < greatest(pg_postmaster_start_time(), pg_stat_get_checkpointer_stat_reset_time()) THEN 1
                     WHEN c.claims >= $4::integer AND c.key <> ALL ($3::text[]) THEN c.claims
                     ELSE c.claims + 1 END,
       last_claimed_at = now()
RETURNING c.key, c.claims, c.failures, c.parked_at IS NOT NULL AS parked,
          coalesce(old.parked_at IS NULL AND old.claims >= $4::integer AND c.key <> ALL ($3::text[])
                   AND old.last_claimed_at
                       >= greatest(pg_postmaster_start_time(), pg_stat_get_checkpointer_stat_reset_time()), false) AS suspect;

-- name: settle_done
-- Forget the claims of work that ended well.
DELETE FROM job_claim WHERE key = ANY ($1::text[]) AND parked_at IS NULL;

-- name: settle_failed
-- Take one claim back, since the process lived to tell, and count the failure where it is the work's own.
UPDATE job_claim SET claims = greatest(claims - 1, 0), failures = failures + $2::integer WHERE key = $1
RETURNING failures;

-- name: park
-- Put work aside with a named reason and what is needed to take it up again; only the first to park it gets the row.
UPDATE job_claim SET parked_at = now(), reason = $2, payload = $3, priority = $4
 WHERE key = $1 AND parked_at IS NULL
RETURNING key, kind, claims, failures, parked_at, reason;

-- name: unpark
-- Take parked work out again; its counts begin anew.
DELETE FROM job_claim WHERE key = $1 AND parked_at IS NOT NULL RETURNING kind, payload, priority;

-- name: drop
-- Forget parked work; its job has left the queue long ago.
DELETE FROM job_claim WHERE key = $1 AND parked_at IS NOT NULL RETURNING kind;

-- name: parked
-- What lies parked, oldest first.
SELECT key, kind, claims, failures, parked_at, reason
  FROM job_claim WHERE parked_at IS NOT NULL ORDER BY parked_at, key LIMIT $1;

-- name: depths
-- How much of each kind waits, how long the oldest has waited, and how much runs.
SELECT entrypoint AS kind,
       count(*) FILTER (WHERE status = 'queued') AS queued,
       count(*) FILTER (WHERE status = 'picked') AS running,
       coalesce(extract(epoch FROM now() - min(execute_after) FILTER (WHERE status = 'queued' AND execute_after <= now())), 0)::float8
         AS oldest_s
  FROM pgqueuer GROUP BY entrypoint ORDER BY entrypoint;

-- name: release_held
-- Queue again what PgQueuer put on hold because our own book-keeping failed; nothing is ever held on purpose.
UPDATE pgqueuer SET status = 'queued', execute_after = now(), updated = now(), queue_manager_id = NULL, slot = NULL
 WHERE status = 'failed' AND entrypoint = ANY ($1::text[])
RETURNING id;

-- name: purge_log
-- Keep PgQueuer's log short: it grows by two rows a job.
DELETE FROM pgqueuer_log WHERE created < now() - $1::interval;

-- name: purge_claims
-- Forget claims that nobody took up again: their job is gone.
DELETE FROM job_claim
 WHERE parked_at IS NULL AND last_claimed_at < now() - $1::interval
   AND NOT EXISTS (SELECT 1 FROM pgqueuer j WHERE j.dedupe_key = job_claim.key);
