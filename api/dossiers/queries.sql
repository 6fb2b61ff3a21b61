-- name: lock_dossier
-- Take one dossier for one step, by its id or its code, until the transaction ends; with it, who has taken its work.
-- What this statement waited for it sees of the dossier alone: `seen` is less than `seq` where the rest is older.
WITH held AS MATERIALIZED (
    SELECT id, code, seq, procedure_code, procedure_version_id, calendar_version, form_version, fee_version, channel,
           help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id, step_unit, transfer_agency_id, transfer_unit,
           owning_system, territory_code, status, finance, delivery, sync, step, outcome, results, supplements, open_opinions,
           submitted_at, received_at, due_original_at, due_at, step_due_original_at, step_due_at, paused_at, finished_at,
           reappointments, urgent, part_signed
      FROM dossier
     WHERE id = coalesce($1, (SELECT id FROM dossier WHERE code = $2))
       FOR NO KEY UPDATE
)
SELECT id, code, seq, procedure_code, procedure_version_id, calendar_version, form_version, fee_version, channel,
       help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id, step_unit, transfer_agency_id, transfer_unit,
       owning_system, territory_code, status, finance, delivery, sync, step, outcome, results, supplements, open_opinions,
       submitted_at, received_at, due_original_at, due_at, step_due_original_at, step_due_at, paused_at, finished_at,
       reappointments, urgent, part_signed,
       (SELECT d.seq FROM dossier d WHERE d.id = held.id) AS seen,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('task_id', t.id, 'account_id', t.assignee_account_id)), '[]')
          FROM task t
         WHERE t.dossier_id = held.id AND t.kind = 'work' AND t.state = 'claimed') AS holders
  FROM held;

-- name: lock_dossier_once
-- The same by its code, where the intent in whose name it is asked for ($2 to $4) is ours and new; taken in the same round
-- trip. There is one row in any case: what became of the intent, and the dossier or NULLs.
WITH intent AS MATERIALIZED (
    SELECT mine, body_sha256, status, answer FROM take_intent($2, $3, $4)
), held AS MATERIALIZED (
    SELECT id, code, seq, procedure_code, procedure_version_id, calendar_version, form_version, fee_version, channel,
           help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id, step_unit, transfer_agency_id, transfer_unit,
           owning_system, territory_code, status, finance, delivery, sync, step, outcome, results, supplements, open_opinions,
           submitted_at, received_at, due_original_at, due_at, step_due_original_at, step_due_at, paused_at, finished_at,
           reappointments, urgent, part_signed
      FROM dossier
     WHERE code = (SELECT $1 FROM intent WHERE mine AND status IS NULL)
       FOR NO KEY UPDATE
)
SELECT intent.mine, intent.body_sha256 AS kept_sha256, intent.status AS kept_status, intent.answer AS kept_answer,
       held.*,
       (SELECT d.seq FROM dossier d WHERE d.id = held.id) AS seen,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('task_id', t.id, 'account_id', t.assignee_account_id)), '[]')
          FROM task t
         WHERE t.dossier_id = held.id AND t.kind = 'work' AND t.state = 'claimed') AS holders
  FROM intent
  LEFT JOIN held ON true;

-- name: holders
-- Who has taken the work of a dossier.
SELECT id AS task_id, assignee_account_id AS account_id
  FROM task
 WHERE dossier_id = $1 AND kind = 'work' AND state = 'claimed';

-- name: dossier_by_code
-- One dossier by its own code.
SELECT id, code, seq, procedure_code, procedure_version_id, calendar_version, form_version, fee_version, channel,
       help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id, step_unit, transfer_agency_id, transfer_unit,
       owning_system, territory_code, status, finance, delivery, sync, step, outcome, results, supplements, open_opinions,
       submitted_at, received_at, due_original_at, due_at, step_due_original_at, step_due_at, paused_at, finished_at,
       reappointments, urgent, part_signed
  FROM dossier
 WHERE code = $1;

-- name: dossiers_after
-- The next dossiers in the order of their ids, for a rebuild that streams.
SELECT id, code, seq, procedure_code, procedure_version_id, calendar_version, form_version, fee_version, channel,
       help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id, step_unit, transfer_agency_id, transfer_unit,
       owning_system, territory_code, status, finance, delivery, sync, step, outcome, results, supplements, open_opinions,
       submitted_at, received_at, due_original_at, due_at, step_due_original_at, step_due_at, paused_at, finished_at,
       reappointments, urgent, part_signed
  FROM dossier
 WHERE id > $1
 ORDER BY id
 LIMIT $2;

-- name: effects_between
-- What the journals of a range of dossiers set, each dossier's lines in order.
SELECT dossier_id, seq, effect
  FROM journal
 WHERE dossier_id >= $1 AND dossier_id <= $2
 ORDER BY dossier_id, seq;

-- name: journals_without_dossier
-- Journals whose dossier row is missing: none may be.
SELECT DISTINCT j.dossier_id
  FROM journal j
 WHERE NOT EXISTS (SELECT FROM dossier d WHERE d.id = j.dossier_id)
 LIMIT 100;

-- name: open_dossier
-- The row of a new dossier and its first lines, under the next number of an agency and day; where a line sets the code,
-- it sets this one. The counter stays locked until the commit, so this comes last.
WITH counted AS (
    INSERT INTO dossier_counter (agency_id, day, n)
    VALUES ($44, $45, 1)
        ON CONFLICT (agency_id, day) DO UPDATE SET n = dossier_counter.n + 1
    RETURNING $46 || lpad(n::text, greatest($47, length(n::text)), '0') || $48 AS code
), opened AS (
    INSERT INTO dossier (id, code, seq, procedure_code, procedure_version_id, calendar_version, form_version, fee_version, channel,
           help_agency_id, receipt_agency_id, competent_agency_id, step_agency_id, step_unit, transfer_agency_id,
           transfer_unit, owning_system, territory_code, status, finance, delivery, sync, step, outcome, results,
           supplements, open_opinions, submitted_at, received_at, due_original_at, due_at, step_due_original_at,
           step_due_at, paused_at, finished_at, reappointments, urgent, part_signed)
    SELECT $1, counted.code, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
           $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37
      FROM counted
    RETURNING id, code
), told AS (
    INSERT INTO journal (dossier_id, seq, action, occurred_at, recorded_at, source, actor_account_id, actor_post_id,
           actor_agency_id, agency_name, data, effect)
    SELECT opened.id, line.seq, line.action, line.occurred_at, $38, $39, $40, $41, $42, $43, line.data,
           CASE WHEN line.effect ? 'code' THEN line.effect || jsonb_build_object('code', opened.code) ELSE line.effect END
      FROM opened,
           jsonb_to_recordset($49) AS line (seq integer, action text, occurred_at timestamptz, data jsonb, effect jsonb)
)
SELECT code FROM opened;

-- name: record_step
-- All that any step writes, if nobody stepped in between: the projection, its journal line, the work that ends and the
-- work that begins after it (of some kinds there is one at a time), and the audit row; all or nothing.
WITH moved AS (
    UPDATE dossier
       SET seq = $3, procedure_version_id = $4, competent_agency_id = $5, step_agency_id = $6, step_unit = $7,
           transfer_agency_id = $8, transfer_unit = $9, status = $10, finance = $11, delivery = $12, sync = $13, step = $14,
           outcome = $15, results = $16, supplements = $17, open_opinions = $18, received_at = $19, due_original_at = $20,
           due_at = $21, step_due_original_at = $22, step_due_at = $23, paused_at = $24, finished_at = $25,
           reappointments = $26, urgent = $27, part_signed = $28
     WHERE id = $1 AND seq = $2
    RETURNING id
), line AS (
    INSERT INTO journal (dossier_id, seq, action, occurred_at, recorded_at, source, actor_account_id, actor_post_id,
           actor_agency_id, agency_name, data, effect)
    SELECT id, $3, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38 FROM moved
), ended AS (
    UPDATE task
       SET state = $40, ended_at = $30, outcome = $29, version = version + 1
      FROM moved
     WHERE dossier_id = moved.id AND kind = ANY ($39::text[]) AND state IN ('open', 'claimed')
    RETURNING task.id
), begun AS (
    INSERT INTO task (id, dossier_id, kind, step, agency_id, unit, role, state, due_original_at, due_at, started_at,
           asked_by_account_id, asked_by_agency_id, question_seq)
    SELECT one.id, moved.id, one.kind, one.step, one.agency_id, one.unit, one.role, 'open', one.due_at, one.due_at, $30,
           one.asked_by_account_id, one.asked_by_agency_id, one.question_seq
      FROM moved,
           (SELECT count(*) FROM ended) AS first,
           jsonb_to_recordset($41) AS one (id uuid, kind text, step text, agency_id uuid, unit text, role text,
                                           due_at timestamptz, asked_by_account_id uuid, asked_by_agency_id uuid,
                                           question_seq integer)
), audited AS (
    INSERT INTO audit (at, actor_account_id, actor_post_id, actor_agency_id, process, action, subject_kind, subject_id,
           detail, source, trace_id, canonical, digest)
    SELECT $42, $43, $44, $45, $46, $47, $48, $49, $50, $51::text::inet, $52, $53, $54 FROM moved
)
SELECT id FROM moved;

-- name: insert_note
-- Keep the free words of a journal line, sealed.
INSERT INTO dossier_note (dossier_id, seq, text_sealed)
VALUES ($1, $2, $3);

-- name: insert_deadline
-- Keep a due date that was given, with why.
INSERT INTO dossier_deadline (dossier_id, seq, due_at, reason)
VALUES ($1, $2, $3, $4);

-- name: open_pause
-- Stop the clock.
INSERT INTO dossier_pause (dossier_id, ordinal, reason, stage, items, legal_basis, from_at)
SELECT $1, coalesce(max(ordinal), 0) + 1, $2, $3, $4, $5, $6
  FROM dossier_pause
 WHERE dossier_id = $1;

-- name: close_pause
-- Let the clock run on.
UPDATE dossier_pause
   SET to_at = $2
 WHERE dossier_id = $1 AND to_at IS NULL;

-- name: access_digest
-- The hash of the secret that a citizen was told.
SELECT secret_sha256 FROM dossier_access WHERE dossier_id = $1;

-- name: insert_foreign_code
-- Keep the code that somebody else gave this dossier.
INSERT INTO dossier_code (issuer, code, dossier_id)
VALUES ($1, $2, $3);

-- name: dossier_by_foreign_code
-- Which dossier an outside system means by its code.
SELECT d.id, d.code
  FROM dossier_code c
  JOIN dossier d ON d.id = c.dossier_id
 WHERE c.issuer = $1 AND c.code = $2;

-- name: file_dossier
-- All of a new dossier but its row and its lines, which wait for its code: persons with their sealed data and keyed hashes
-- and what each is to it, the hash of the citizen's secret, parts, fees, the due date given, work, and the audit row.
WITH named AS (
    SELECT id, kind, role, ordinal, basis, key_id, name_sealed, name_fingerprint, id_number_sealed, id_number_fingerprint,
           contact_sealed, phone_fingerprint
      FROM unnest($2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::bytea[], $9::bytea[],
                         $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[])
        AS one (id, kind, role, ordinal, basis, key_id, name_sealed, name_fingerprint, id_number_sealed,
                id_number_fingerprint, contact_sealed, phone_fingerprint)
), people AS (
    INSERT INTO person (id, kind) SELECT id, kind FROM named
), sealed AS (
    INSERT INTO person_private (person_id, key_id, name_sealed, name_fingerprint, id_number_sealed, id_number_fingerprint,
           contact_sealed, phone_fingerprint)
    SELECT id, key_id, name_sealed, name_fingerprint, id_number_sealed, id_number_fingerprint, contact_sealed,
           phone_fingerprint
      FROM named
), secret AS (
    INSERT INTO dossier_access (dossier_id, secret_sha256, given_at) VALUES ($1, $14, $15)
), handed_in AS (
    INSERT INTO dossier_part (dossier_id, part_code, name, originals, certified_copies, plain_copies, upload_id, origin)
    SELECT $1, part_code, name, originals, certified_copies, plain_copies, upload_id, origin
      FROM jsonb_to_recordset($16) AS one (part_code text, name text, originals smallint, certified_copies smallint,
                                           plain_copies smallint, upload_id uuid, origin text)
), owed AS (
    INSERT INTO dossier_fee (dossier_id, code, name, amount_vnd, state)
    SELECT $1, code, name, amount_vnd, state
      FROM jsonb_to_recordset($17) AS one (code text, name text, amount_vnd bigint, state text)
), given AS (
    INSERT INTO dossier_deadline (dossier_id, seq, due_at, reason)
    SELECT $1, $18, $19::timestamptz, $20 WHERE $19 IS NOT NULL
), begun AS (
    INSERT INTO task (id, dossier_id, kind, step, agency_id, unit, role, state, due_original_at, due_at, started_at)
    SELECT id, $1, kind, step, agency_id, unit, role, 'open', due_at, due_at, $21
      FROM jsonb_to_recordset($22) AS one (id uuid, kind text, step text, agency_id uuid, unit text, role text,
                                           due_at timestamptz)
), audited AS (
    INSERT INTO audit (at, actor_account_id, actor_post_id, actor_agency_id, process, action, subject_kind, subject_id,
           detail, source, trace_id, canonical, digest)
    VALUES ($23, $24, $25, $26, $27, $28, $29, $30, $31, $32::text::inet, $33, $34, $35)
)
INSERT INTO dossier_party (dossier_id, role, ordinal, person_id, representation_basis)
SELECT $1, role, ordinal, id, basis FROM named;

-- name: insert_part
-- A part handed in.
INSERT INTO dossier_part (dossier_id, part_code, name, originals, certified_copies, plain_copies, upload_id, origin)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: take_uploads
-- Make these uploads this dossier's: those that are its own already, and what the same person sent and attached nowhere yet.
UPDATE upload
   SET dossier_id = $2
 WHERE id = ANY ($1::uuid[]) AND (dossier_id = $2 OR (dossier_id IS NULL AND account_id = $3))
RETURNING id;

-- name: insert_fee
-- An amount owed.
INSERT INTO dossier_fee (dossier_id, code, name, amount_vnd, state)
VALUES ($1, $2, $3, $4, $5);

-- name: settle_fees
-- Move what is due to paid or exempt, or what was paid to refunded.
UPDATE dossier_fee
   SET state = $3, receipt_no = coalesce($4, receipt_no), paid_at = CASE WHEN $3 = 'paid' THEN $5 ELSE paid_at END
 WHERE dossier_id = $1 AND state = $2;

-- name: task
-- One piece of work with the dossier it is of; no lock, the dossier's own is taken first.
SELECT id, dossier_id, kind, step, agency_id, unit, role, assignee_account_id, state, due_original_at, due_at, started_at,
       claimed_at, ended_at, outcome, asked_by_account_id, asked_by_agency_id, question_seq, answer_seq, version
  FROM task
 WHERE id = $1;

-- name: open_tasks
-- The open work of a dossier, oldest first.
SELECT id, dossier_id, kind, step, agency_id, unit, role, assignee_account_id, state, due_original_at, due_at, started_at,
       claimed_at, ended_at, outcome, asked_by_account_id, asked_by_agency_id, question_seq, answer_seq, version
  FROM task
 WHERE dossier_id = $1 AND state IN ('open', 'claimed')
 ORDER BY started_at, id;

-- name: claim_task
-- Take open work, if nobody has; the loser gets no row.
UPDATE task
   SET state = 'claimed', assignee_account_id = $2, claimed_at = $3, version = version + 1
 WHERE id = $1 AND state = 'open'
RETURNING id;

-- name: release_task
-- Put work back for others.
UPDATE task
   SET state = 'open', assignee_account_id = NULL, claimed_at = NULL, version = version + 1
 WHERE id = $1 AND state = 'claimed'
RETURNING id;

-- name: assign_task
-- Give work to an officer, taking it from another.
UPDATE task
   SET state = 'claimed', assignee_account_id = $2, claimed_at = $3, version = version + 1
 WHERE id = $1 AND state IN ('open', 'claimed')
RETURNING id;

-- name: end_task
-- End one piece of work with its outcome.
UPDATE task
   SET state = $2, ended_at = $3, outcome = $4, answer_seq = $5, version = version + 1
 WHERE id = $1 AND state IN ('open', 'claimed')
RETURNING id;

-- name: move_tasks
-- Give the running work of a dossier its new due time.
UPDATE task
   SET due_at = $2, version = version + 1
 WHERE dossier_id = $1 AND kind = 'work' AND state IN ('open', 'claimed');

-- name: account_in_agency
-- Whether an account holds a post at an agency now.
SELECT EXISTS (
    SELECT FROM account a
      JOIN post_holding h ON h.person_id = a.person_id AND h.valid_from <= $3 AND (h.valid_to IS NULL OR $3 < h.valid_to)
      JOIN post p ON p.id = h.post_id
     WHERE a.id = $1 AND a.state = 'active' AND p.agency_id = $2
);

-- name: journal_lines
-- A dossier's journal from a line on.
SELECT j.seq, j.action, j.occurred_at, j.recorded_at, j.source, j.actor_account_id, j.actor_post_id, j.actor_agency_id,
       j.agency_name, j.data, n.text_sealed
  FROM journal j
  LEFT JOIN dossier_note n ON n.dossier_id = j.dossier_id AND n.seq = j.seq
 WHERE j.dossier_id = $1 AND j.seq > $2
 ORDER BY j.seq
 LIMIT $3;

-- name: deadlines
-- Every due date a dossier was given, with why.
SELECT seq, due_at, reason
  FROM dossier_deadline
 WHERE dossier_id = $1
 ORDER BY seq;

-- name: results_of_dossier
-- The results of a dossier that are among these.
SELECT id
  FROM result
 WHERE dossier_id = $1 AND id = ANY ($2::uuid[]);

-- name: insert_delivery
-- Record a hand-over with its proof.
INSERT INTO delivery (id, result_id, channel, state, proof, by_account_id, planned_at, delivered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: deliveries
-- The hand-overs of a dossier's results, with their proofs.
SELECT d.id, d.result_id, d.channel, d.state, d.proof, d.by_account_id, d.planned_at, d.delivered_at
  FROM delivery d
  JOIN result r ON r.id = d.result_id
 WHERE r.dossier_id = $1
 ORDER BY d.planned_at, d.id;

-- name: officials
-- The public names of these accounts.
SELECT a.id, o.display_name
  FROM account a
  JOIN official o ON o.person_id = a.person_id
 WHERE a.id = ANY ($1::uuid[]);

-- name: dossier_view
-- All that the officer's page of one dossier shows, in one round trip.
SELECT d.id, d.code, d.seq, d.procedure_code, d.procedure_version_id, d.calendar_version, d.form_version, d.fee_version,
       d.channel, d.help_agency_id, d.receipt_agency_id, d.competent_agency_id, d.step_agency_id, d.step_unit,
       d.transfer_agency_id, d.transfer_unit, d.owning_system, d.territory_code, d.status, d.finance, d.delivery, d.sync,
       d.step, d.outcome, d.results, d.supplements, d.open_opinions, d.submitted_at, d.received_at, d.due_original_at,
       d.due_at, d.step_due_original_at, d.step_due_at, d.paused_at, d.finished_at, d.reappointments, d.urgent, d.part_signed,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'role', p.role, 'ordinal', p.ordinal, 'person_id', p.person_id,
                   'representation_basis', p.representation_basis,
                   'name_sealed', translate(encode(v.name_sealed, 'base64'), E'\n', ''),
                   'id_number_sealed', translate(encode(v.id_number_sealed, 'base64'), E'\n', ''),
                   'contact_sealed', translate(encode(v.contact_sealed, 'base64'), E'\n', '')) ORDER BY p.role, p.ordinal),
               '[]')
          FROM dossier_party p
          JOIN person_private v ON v.person_id = p.person_id
         WHERE p.dossier_id = d.id) AS parties,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.id), '[]') FROM (
           SELECT id, part_code, name, originals, certified_copies, plain_copies, upload_id, origin, given_back_at
             FROM dossier_part WHERE dossier_id = d.id) x) AS parts,
       (SELECT coalesce(jsonb_agg(to_jsonb(x)), '[]') FROM (
           SELECT code, name, amount_vnd, state, receipt_no, paid_at
             FROM dossier_fee WHERE dossier_id = d.id ORDER BY id) x) AS fees,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.started_at, x.id), '[]') FROM (
           SELECT id, dossier_id, kind, step, agency_id, unit, role, assignee_account_id, state, due_original_at, due_at,
                  started_at, claimed_at, ended_at, outcome, asked_by_account_id, asked_by_agency_id, question_seq,
                  answer_seq, version
             FROM task WHERE dossier_id = d.id) x) AS tasks,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.ordinal), '[]') FROM (
           SELECT ordinal, reason, stage, items, legal_basis, from_at, to_at
             FROM dossier_pause WHERE dossier_id = d.id) x) AS pauses,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.since), '[]') FROM held_result x WHERE x.dossier_id = d.id) AS held
  FROM dossier d
 WHERE d.code = $1;
