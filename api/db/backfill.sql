-- name: take_backfill_lock
-- One run of a rewrite at a time; the end of a session that breaks gives the lock back.
SELECT pg_try_advisory_lock(hashtextextended($1, 7310214652084));

-- name: give_backfill_lock_back
-- Before the session is closed: its process in the server may live on for a while, the more so with a low priority.
SELECT pg_advisory_unlock(hashtextextended($1, 7310214652084));

-- name: begin_backfill
-- Note that a rewrite has begun; a later run finds its mark.
INSERT INTO backfill (name) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: backfill_mark
-- The key up to which a rewrite has come.
SELECT after, rows, ended_at FROM backfill WHERE name = $1;

-- name: end_backfill
-- No row was left.
UPDATE backfill SET ended_at = clock_timestamp() WHERE name = $1;

-- name: leave_disk_alone
-- No commit of this session waits for the disk: a crash may lose the last batches, and their marks with them.
SET synchronous_commit = off;

-- name: plan_once
-- Planning takes as long as rewriting ten rows. The plan for any batch is right where its rows are named by an array.
SET plan_cache_mode = force_generic_plan;

-- name: wait_for_disk
-- The next commit waits as every other does, and whatever was committed before it is on the disk, too.
RESET synchronous_commit;

-- name: rewrite_ready
-- Whether the turn has come of requests that wait since before version 0017; no other row's is asked for.
WITH batch AS (
    SELECT id, state
      FROM signature_request
     WHERE id > coalesce(nullif($1::text, '')::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY id
     LIMIT $2
), rewritten AS (
    UPDATE signature_request request
       SET ready = signature_request_ready(request.state, request.chain_id, request.group_no)
     WHERE request.id = ANY (ARRAY(SELECT id FROM batch WHERE state = 'to_sign')) AND request.ready IS NULL
), done AS (
    SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS last, count(*) AS rows FROM batch
), moved AS (
    UPDATE backfill
       SET after = done.last, rows = backfill.rows + done.rows, moved_at = clock_timestamp()
      FROM done
     WHERE name = $3 AND done.last IS NOT NULL
)
SELECT last, rows FROM done;

-- name: own_process
-- The process in the server that works for this connection, where the two are on one machine; else none.
SELECT CASE WHEN inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr() THEN pg_backend_pid() ELSE 0 END;
