-- name: add_column
-- What a `pre` migration of a next version would do: nothing is rewritten here.
ALTER TABLE dossier ADD COLUMN folded text;

-- name: rewrite
-- The old rows of that column, as an entry of `api.db.backfill.ALL` would say it.
WITH batch AS (
    SELECT id FROM dossier
     WHERE id > coalesce(nullif($1::text, '')::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY id LIMIT $2
), rewritten AS (
    UPDATE dossier SET folded = lower(code) WHERE id = ANY (ARRAY(SELECT id FROM batch)) AND folded IS NULL
), done AS (
    SELECT (SELECT id::text FROM batch ORDER BY id DESC LIMIT 1) AS last, count(*) AS rows FROM batch
), moved AS (
    UPDATE backfill
       SET after = done.last, rows = backfill.rows + done.rows, moved_at = clock_timestamp()
      FROM done
     WHERE name = $3 AND done.last IS NOT NULL
)
SELECT last, rows FROM done;

-- name: left
-- How many of the seeded rows are not rewritten.
SELECT count(*) FROM dossier WHERE folded IS NULL AND code LIKE '%-250701-%';

-- name: pressure
-- What the server has done so far, and what of it befell the table.
SELECT wal.wal_bytes::bigint AS wal_bytes, wal.wal_fpi AS full_pages, checkpointer.num_done AS checkpoints,
       dossier.autovacuum_count AS vacuums, dossier.n_tup_upd AS updates, dossier.n_tup_hot_upd AS hot
  FROM pg_stat_wal wal, pg_stat_checkpointer checkpointer, pg_stat_user_tables dossier
 WHERE dossier.relname = 'dossier';
