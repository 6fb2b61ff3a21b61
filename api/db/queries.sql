-- name: take_migration_lock
-- Wait until no other runner migrates this database; dbmate itself holds no lock by default.
SELECT pg_advisory_lock(7310214652083);

-- name: release_migration_lock
-- Let the next runner go.
SELECT pg_advisory_unlock(7310214652083);

-- name: ensure_roles
-- Make the three roles that the migrations grant to; who may log in with which password is the operator's matter.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['app', 'signer', 'worker'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- another database of this server made it in the same moment
    END;
  END LOOP;
END
$$;

-- name: silence_queue_bell
-- Drop PgQueuer's NOTIFY trigger: a NOTIFY in every enqueueing transaction serialises the commits of the whole database.
DROP TRIGGER IF EXISTS tg_pgqueuer_changed ON pgqueuer;

-- name: grant_enqueue
-- The API only puts jobs in.
GRANT SELECT, INSERT ON pgqueuer, pgqueuer_log TO app;

-- name: grant_work
-- Signer and worker take jobs, finish them and keep the log short.
GRANT SELECT, INSERT, UPDATE, DELETE
   ON pgqueuer, pgqueuer_log, pgqueuer_statistics, pgqueuer_schedules
   TO signer, worker;

-- name: grant_queue_sequences
-- Every role that inserts a row draws its number.
GRANT USAGE
   ON SEQUENCE pgqueuer_id_seq, pgqueuer_log_id_seq, pgqueuer_statistics_id_seq, pgqueuer_schedules_id_seq
   TO app, signer, worker;

-- name: applied_versions
-- The migrations that this database has seen.
SELECT version FROM schema_migrations ORDER BY version;
