-- name: open_stages
-- How many signatures are in each open stage, and how long the oldest has been in it; tickets nobody has judged are `queued`.
SELECT stage, count(*) AS items, extract(epoch FROM now() - min(since))::float8 AS oldest_s
  FROM (SELECT state AS stage, state_at AS since FROM signature_request
         WHERE state IN ('asked', 'prepared', 'sent', 'value_received')
        UNION ALL
        SELECT 'queued', asked_at FROM signature_batch WHERE closed_at IS NULL AND NOT complete) open
 GROUP BY stage;

-- name: open_tickets
-- How many tickets are open, and how long ago the oldest was asked.
SELECT count(*) AS tickets, coalesce(extract(epoch FROM now() - min(asked_at)), 0)::float8 AS oldest_s
  FROM signature_batch
 WHERE closed_at IS NULL;

-- name: parked_kinds
-- How much work of each kind lies parked until a person has looked.
SELECT kind, count(*) AS jobs FROM job_claim WHERE parked_at IS NOT NULL GROUP BY kind;

-- name: expiring_certificates
-- The newest certificates of each owner that end within this time, soonest first; the others have a successor.
SELECT newest.id, newest.holder, newest.serial, newest.agency_id, newest.person_id, newest.not_after
  FROM (SELECT DISTINCT ON (person_id, agency_id) id, holder, serial, agency_id, person_id, not_after
          FROM certificate
         WHERE revoked_at IS NULL
         ORDER BY person_id, agency_id, not_after DESC) newest
 WHERE newest.not_after < now() + $1::interval
 ORDER BY newest.not_after, newest.id
 LIMIT $2;

-- name: level_debt
-- What sealed documents owe: how many, how long the oldest, how many past their day, how many were raised in the last 20 minutes,
-- and in how many seconds the quotas of the authorities allow as many timestamps; quota_waits where they allow none now.
SELECT owed, oldest_s, overdue, paid, paid_in_s,
       coalesce(extract(epoch FROM timestamp_expected(greatest(owed, 1)) - now()), 0)::float8 AS quota_s,
       coalesce(timestamp_expected(1) > now(), false) AS quota_waits
  FROM (
SELECT count(*) FILTER (WHERE paid_at IS NULL) AS owed,
       coalesce(extract(epoch FROM now() - min(signed_at) FILTER (WHERE paid_at IS NULL AND level = 'B-B')), 0)::float8 AS oldest_s,
       count(*) FILTER (WHERE paid_at IS NULL AND due_at < now()) AS overdue,
       count(*) FILTER (WHERE paid_at IS NOT NULL) AS paid,
       coalesce(extract(epoch FROM now() - min(paid_at) FILTER (WHERE paid_at IS NOT NULL)), 0)::float8 AS paid_in_s
  FROM level_debt
 WHERE paid_at IS NULL OR paid_at > now() - interval '20 minutes') debt;

-- name: key_use_differences
-- How many transactions of the last day the key holders' own accounts tell otherwise.
SELECT count(*) FROM key_use_check WHERE found <> 'agreed' AND checked_at > now() - interval '1 day';

-- name: ticket
-- A ticket: who asked by id, when, and what became of its second factor.
SELECT batch.id, batch.trace_id, batch.account_id, batch.person_id, batch.post_id, batch.agency_id, batch.lane, batch.item_count, batch.complete,
       batch.asked_at, batch.authorised_until, batch.closed_at, step_up_verdict.accepted, step_up_verdict.reason, step_up_verdict.judged_at
  FROM signature_batch batch
  LEFT JOIN step_up_verdict ON step_up_verdict.step_up_id = (SELECT step_up.id FROM step_up WHERE step_up.batch_id = batch.id)
 WHERE batch.id = $1;

-- name: items
-- The items of a ticket with the time of each stage of their last attempt.
SELECT item.ordinal, item.request_id, item.outcome, item.detail ->> 'code' AS cause, item.ended_at,
       CASE WHEN request.batch_id = item.batch_id THEN request.state ELSE 'queued' END AS state, request.state_at, request.attempt,
       request.role, request.holder, request.transaction_id, preparation.prepared_at, key_uses.first_at AS sent_at, coalesce(key_uses.count, 0) AS key_uses,
       signature_value.received_at, signature_value.source, request.recorded_at, request.deadline_at,
       owed.wanted AS level_owed, owed.level, owed.paid_at AS raised_at, owed.problem AS level_problem
  FROM batch_item item
  JOIN signature_request request ON request.id = item.request_id
  LEFT JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt AND request.batch_id = item.batch_id
  LEFT JOIN LATERAL (SELECT min(use.at) AS first_at, count(*) AS count
                       FROM key_use use
                       JOIN holder_transaction sent ON sent.id = use.transaction_id AND sent.batch_id = item.batch_id
                      WHERE use.request_id = request.id) key_uses ON true
  LEFT JOIN signature_value ON signature_value.request_id = request.id AND signature_value.attempt = request.attempt
        AND request.batch_id = item.batch_id
  LEFT JOIN level_debt owed ON owed.request_id = request.id AND request.batch_id = item.batch_id
 WHERE item.batch_id = $1
 ORDER BY item.ordinal;

-- name: transactions
-- What was asked of key holders for a ticket.
SELECT id, holder, state, outcome, item_count, started_at, expires_at, polls, ended_at, checked.found
  FROM holder_transaction
  LEFT JOIN key_use_check checked ON checked.transaction_id = holder_transaction.id
 WHERE batch_id = $1
 ORDER BY started_at, id;

-- name: jobs_of
-- The jobs of a ticket and of its items: waiting, running or parked.
SELECT claim.key, claim.kind, claim.claims, claim.failures, claim.parked_at, claim.reason, queued.status::text AS status, queued.execute_after
  FROM job_claim claim
  LEFT JOIN pgqueuer queued ON queued.dedupe_key = claim.key
 WHERE EXISTS (SELECT 1 FROM unnest($1::text[]) AS wanted (id) WHERE position(wanted.id IN claim.key) > 0)
 ORDER BY claim.first_claimed_at, claim.key;

-- name: audit_of
-- The audit rows of a ticket: of itself, of parked work of its items, and what its account did in its trace.
SELECT at, process, action, subject_kind, subject_id, actor_account_id, trace_id
  FROM audit
 WHERE subject_kind = 'signature_batch' AND subject_id = $1
    OR subject_kind = ANY (ARRAY['signatures.prepare', 'signatures.finish']) AND subject_id = ANY ($2::uuid[])
    OR actor_account_id = $3 AND trace_id = $4
 ORDER BY id
 LIMIT 500;

-- name: failures
-- The last items that did not end with a signature, of one account, of one ticket, or of the last 5,000 tickets.
SELECT item.batch_id AS ticket, item.ordinal, item.request_id, batch.account_id, batch.trace_id, item.outcome, item.detail, item.ended_at
  FROM (SELECT id, account_id, trace_id
          FROM signature_batch
         WHERE ($1::uuid IS NULL OR account_id = $1) AND ($2::uuid IS NULL OR id = $2)
         ORDER BY id DESC
         LIMIT 5000) batch
  JOIN batch_item item ON item.batch_id = batch.id
 WHERE item.outcome IN ('refused', 'expired', 'failed')
 ORDER BY item.ended_at DESC, item.batch_id, item.ordinal
 LIMIT $3;

-- name: account_id
-- Who logs in by this name.
SELECT id FROM account WHERE login = $1;

-- name: forget_attempts
-- Forget attempts to log in that are older than this, the oldest first and some at a time; ids follow the time.
DELETE FROM login_attempt
 WHERE id IN (SELECT id FROM login_attempt ORDER BY id LIMIT $2) AND at < $1;
