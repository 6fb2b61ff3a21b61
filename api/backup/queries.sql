-- name: server_facts
-- What a backup is a backup of; the bootstrap superuser has the same oid in every cluster, and is always there.
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
       current_setting('server_version') AS server,
       (SELECT rolname FROM pg_roles WHERE oid = 10) AS superuser,
       current_database() AS database,
       pg_size_bytes(current_setting('wal_segment_size')) AS segment_bytes,
       clock_timestamp() AS at,
       (SELECT sum(pg_database_size(oid))::bigint FROM pg_database) AS bytes,
       CASE WHEN pg_is_in_recovery() THEN '' ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END AS timeline;

-- name: may_back_up
-- Whether this role may receive WAL, read every row, and see how far its receiver is.
SELECT (rolsuper OR rolreplication) AND pg_has_role('pg_read_all_data', 'USAGE') AND pg_has_role('pg_monitor', 'USAGE')
  FROM pg_roles WHERE rolname = current_user;

-- name: counts
-- What the rows at this moment amount to.
SELECT (SELECT count(*) FROM dossier) AS dossiers,
       (SELECT count(*) FROM journal) AS journal_lines,
       (SELECT count(*) FROM blob) AS documents,
       (SELECT coalesce(sum(size), 0)::bigint FROM blob) AS document_bytes,
       (SELECT count(*) FROM audit) AS audit_rows;

-- name: now
-- This moment by the server's clock.
SELECT clock_timestamp();

-- name: leave_mark
-- Commit something without a row: recovery knows that it has reached a moment only by a commit after it.
SELECT pg_logical_emit_message(true, 'motcua', '');

-- name: flushed
-- The WAL position that holds everything committed until now.
SELECT pg_current_wal_flush_lsn();

-- name: received
-- Whether the follower has flushed the WAL up to a position.
SELECT coalesce(max(flush_lsn) >= $1::pg_lsn, false) FROM pg_stat_replication WHERE application_name = 'motcua pg_receivewal';

-- name: documents_since
-- The documents whose rows are not older than this.
SELECT sha256, size FROM blob WHERE stored_at >= $1;

-- name: document_exists
-- Whether a document still has its row.
SELECT EXISTS (SELECT FROM blob WHERE sha256 = $1);

-- name: has_slot
-- Whether the server keeps WAL for the follower.
SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1);

-- name: documents_after
-- The next documents in the order of their digests.
SELECT sha256, size FROM blob WHERE sha256 > $1 ORDER BY sha256 LIMIT $2;

-- name: number_counters
-- The last number of each series and year, with what a person knows the series by.
SELECT c.series_id, c.year, c.n, a.code AS agency, s.pattern
  FROM number_counter c
  JOIN number_series s ON s.id = c.series_id
  JOIN agency a ON a.id = s.agency_id
 ORDER BY a.code, s.pattern, c.year;

-- name: dossier_counters
-- The last dossier code of each agency and day that may still be counted on.
SELECT agency_id, day, n FROM dossier_counter WHERE day >= $1;

-- name: lines_since
-- The journal lines written since then.
SELECT dossier_id, seq, action, recorded_at FROM journal WHERE recorded_at >= $1;

-- name: key_uses_since
-- The uses of keys since then.
SELECT id, request_id, holder, transaction_id, at FROM key_use WHERE at >= $1;

-- name: numbers_since
-- The numbers given since then.
SELECT series_id, year, n, text, state, document_id FROM number WHERE reserved_at >= $1;

-- name: last_audit
-- The highest id that an audit row was given.
SELECT coalesce(max(id), 0) FROM audit;

-- name: end_sessions
-- Nobody stays logged in: who was logged out, locked or dismissed after the moment would be in again.
UPDATE session SET ended_at = $1 WHERE ended_at IS NULL;

-- name: spend_codes
-- A one-time code that was used after the moment must not be good again: every step up to the next one is spent.
UPDATE second_factor SET last_counter = greatest(last_counter, $1) WHERE kind = 'totp';

-- name: end_authorisations
-- What people authorised before the moment may have been signed after it: they are asked again.
UPDATE signature_batch SET authorised_until = $1 WHERE authorised_until > $1;

-- name: end_open_requests
-- The signer's sweep ends what was authorised and not sent; what was sent is asked for at its holder, as ever.
UPDATE signature_request SET deadline_at = $1 WHERE state IN ('asked', 'prepared');

-- name: raise_number_counter
-- Pass over numbers that may stand on released papers; the row of a year that had not begun is made.
INSERT INTO number_counter AS c (series_id, year, n) VALUES ($1, $2, $3)
    ON CONFLICT (series_id, year) DO UPDATE SET n = excluded.n WHERE c.n < excluded.n
RETURNING n;

-- name: explain_gap
-- Why these numbers will never have a row.
INSERT INTO number_gap (series_id, year, first, last, reason, noted_at) VALUES ($1, $2, $3, $4, $5, $6);

-- name: raise_dossier_counter
-- Pass over dossier codes that may stand on slips in citizens' hands.
INSERT INTO dossier_counter AS c (agency_id, day, n) VALUES ($1, $2, $3)
    ON CONFLICT (agency_id, day) DO UPDATE SET n = greatest(c.n, excluded.n);

-- name: raise_audit
-- An id of an audit row never names two of them: a checkpoint kept outside may hold those that are lost.
SELECT setval(pg_get_serial_sequence('audit', 'id'), $1);

-- name: counters_behind
-- Series whose counter has fallen behind their own register; a sound database has none.
SELECT count(*) FROM number_counter c WHERE c.n < (SELECT max(u.n) FROM number u WHERE u.series_id = c.series_id AND u.year = c.year);

-- name: altered_audit
-- Audit rows that are not what they were when they were written; a sound database has none.
SELECT count(*) FROM audit WHERE digest <> sha256(canonical);

-- name: end_factors
-- What was revoked after the moment stays revoked.
UPDATE second_factor SET revoked_at = $1 WHERE id = ANY ($2::uuid[]) AND revoked_at IS NULL RETURNING id;

-- name: end_passkeys
-- What was revoked after the moment stays revoked.
UPDATE passkey SET revoked_at = $1 WHERE id = ANY ($2::uuid[]) AND revoked_at IS NULL RETURNING id;

-- name: end_certificates
-- What was unbound after the moment stays unbound.
UPDATE certificate SET revoked_at = $1 WHERE id = ANY ($2::uuid[]) AND revoked_at IS NULL RETURNING id;

-- name: end_mandates
-- What was taken back after the moment stays taken back.
UPDATE mandate SET revoked_at = $1 WHERE id = ANY ($2::uuid[]) AND revoked_at IS NULL RETURNING id;

-- name: end_posts
-- Who held a post no longer after the moment does not hold it again.
UPDATE post_holding SET valid_to = greatest(ended.at, post_holding.valid_from + interval '1 microsecond')
  FROM unnest($1::uuid[], $2::timestamptz[]) AS ended (id, at)
 WHERE post_holding.id = ended.id AND (valid_to IS NULL OR valid_to > ended.at)
RETURNING post_holding.id;

-- name: close_accounts
-- Who was locked or dismissed after the moment does not come back by it.
UPDATE account SET state = ended.state
  FROM unnest($1::uuid[], $2::text[]) AS ended (id, state)
 WHERE account.id = ended.id AND (account.state = 'active' OR (account.state = 'locked' AND ended.state = 'closed'))
RETURNING account.id;

-- name: carry_blocks
-- What one person blocked after the moment is blocked, from the minute it was.
INSERT INTO account_block (id, account_id, what, reason, by_account_id, at)
SELECT ended.id, ended.account_id, $4, $5, ended.account_id, ended.at
  FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS ended (id, account_id, at)
 WHERE EXISTS (SELECT FROM account WHERE account.id = ended.account_id)
    ON CONFLICT (id) DO NOTHING
RETURNING id;

-- name: last_line
-- When the last line of a journal was written.
SELECT max(recorded_at) FROM journal;
