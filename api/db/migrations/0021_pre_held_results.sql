-- migrate:up
-- Results that wait for their level, the quotas of timestamping authorities for all processes together, and when a level is expected.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE level_debt ADD COLUMN held_basis text;
ALTER TABLE level_debt ADD COLUMN version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN level_debt.held_basis IS 'While the result waits for this level: the provision that demands it (chờ dấu thời gian); nobody is given the result before.';
COMMENT ON COLUMN level_debt.version IS 'Grows with every change, so that a ticket''s stream tells of it.';
-- No row has it yet, so to build this is one reading of a table that is a year old at most.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX level_debt_held ON level_debt (document_id) WHERE held_basis IS NOT NULL;

CREATE TABLE timestamp_authority (
    name text PRIMARY KEY,
    quota integer NOT NULL CHECK (quota >= 0),
    window_s double precision NOT NULL CHECK (window_s > 0),
    slots timestamptz[] NOT NULL DEFAULT '{}',
    sent integer[] NOT NULL DEFAULT '{}',
    seen_at timestamptz NOT NULL,
    CHECK (cardinality(slots) = cardinality(sent))
);
COMMENT ON TABLE timestamp_authority IS 'What every signer together may ask of a timestamping authority: quota requests in window_s seconds, 0 without end; sent[i] of them went at slots[i], at the latest.';
GRANT SELECT, INSERT, UPDATE ON timestamp_authority TO signer;
GRANT SELECT ON timestamp_authority TO app, worker;

CREATE FUNCTION timestamp_expected(wanted bigint) RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH live AS (
        SELECT name, quota, make_interval(secs => window_s) AS span, slots, sent
          FROM timestamp_authority
         WHERE seen_at > now() - interval '5 minutes'),
    used AS (
        SELECT live.name, live.span, each.slot + live.span AS at, each.n
          FROM live CROSS JOIN LATERAL unnest(live.slots, live.sent) AS each (slot, n)
         WHERE live.quota > 0 AND each.slot + live.span > now()),
    room AS (
        SELECT at, n FROM used
         UNION ALL
        SELECT now(), live.quota - coalesce((SELECT sum(n) FROM used WHERE used.name = live.name), 0) FROM live WHERE live.quota > 0),
    row_of AS (
        SELECT at, sum(n) OVER (ORDER BY at) AS upto FROM room WHERE n > 0),
    round AS (
        SELECT max(upto) AS n, (SELECT max(span) FROM live) AS span FROM row_of)
    SELECT CASE WHEN EXISTS (SELECT FROM live WHERE quota = 0) THEN now()
                ELSE (SELECT min(row_of.at) + div(wanted - 1, round.n)::double precision * round.span
                        FROM row_of CROSS JOIN round
                       WHERE row_of.upto > mod(wanted - 1, round.n)
                       GROUP BY round.n, round.span) END;
END;
COMMENT ON FUNCTION timestamp_expected IS 'When the n-th timestamp from now may be asked for, as the quotas allow; NULL where no signer has an authority.';
REVOKE EXECUTE ON FUNCTION timestamp_expected FROM PUBLIC;
GRANT EXECUTE ON FUNCTION timestamp_expected TO app, signer, worker;

CREATE FUNCTION level_expected(due timestamptz, of_revision uuid, try_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH before AS (
        SELECT count(*) AS n FROM level_debt debt
         WHERE debt.paid_at IS NULL AND (debt.due_at, debt.revision_id) <= (level_expected.due, level_expected.of_revision)),
    pace AS (
        SELECT count(*) AS n FROM level_debt debt WHERE debt.paid_at > now() - interval '1 minute'),
    quota AS (
        SELECT timestamp_expected(1) AS first, timestamp_expected(before.n) AS own FROM before)
    SELECT CASE WHEN quota.first > now() OR pace.n > 0
                     OR quota.first IS NOT NULL AND NOT EXISTS (SELECT FROM level_debt debt WHERE debt.paid_at IS NULL AND debt.attempts > 0)
                THEN greatest(level_expected.try_at, quota.own,
                              now() + before.n * interval '1 minute' / CASE WHEN pace.n BETWEEN 1 AND before.n THEN pace.n ELSE 600 END) END
      FROM before CROSS JOIN pace CROSS JOIN quota;
END;
COMMENT ON FUNCTION level_expected IS 'When a debt is expected to be paid: its turn, the quotas, the pace of the last minute; NULL in an outage, whose end nobody knows.';
REVOKE EXECUTE ON FUNCTION level_expected FROM PUBLIC;
GRANT EXECUTE ON FUNCTION level_expected TO app, signer, worker;

CREATE VIEW held_result AS
SELECT document.dossier_id, document.result_id, document.id AS document_id, debt.wanted AS level, debt.held_basis AS legal_basis,
       debt.signed_at AS since, debt.due_at, nullif(debt.problem, '') AS problem,
       CASE WHEN debt.try_at < now() + interval '10 years' THEN debt.try_at END AS next_try_at,
       CASE WHEN debt.try_at < now() + interval '10 years'
            THEN level_expected(debt.due_at, debt.revision_id, debt.try_at) END AS expected_at
  FROM level_debt debt
  JOIN document ON document.id = debt.document_id
 WHERE debt.held_basis IS NOT NULL;
COMMENT ON VIEW held_result IS 'Sealed documents whose results wait for their level: why, since when, and when it is expected; what a person must look at has no next try.';
GRANT SELECT ON held_result TO app, worker, signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
