-- name: officer_desk
-- A page of the open work an officer may take or has taken, what is due first on top; each role's part is read in the order
-- of the index and no further than the page.
SELECT t.id, t.kind, t.step, t.unit, t.role, t.state, t.assignee_account_id, t.due_at, t.started_at, t.version,
       d.code AS dossier_code, d.status, d.due_at AS dossier_due_at, d.urgent, d.procedure_code,
       (SELECT p.name FROM procedure p WHERE p.code = d.procedure_code) AS procedure_name, d.seq AS dossier_version
  FROM (SELECT first.id, first.dossier_id, first.kind, first.step, first.unit, first.role, first.state, first.assignee_account_id,
               first.due_at, first.started_at, first.version
          FROM unnest($2::text[]) AS mine (role)
         CROSS JOIN LATERAL (
               SELECT id, dossier_id, kind, step, unit, role, state, assignee_account_id, due_at, started_at, version
                 FROM task
                WHERE agency_id = $1 AND task.role = mine.role AND state IN ('open', 'claimed') AND (due_at, id) > ($4, $5)
                  AND (state = 'open' OR assignee_account_id = $3)
                ORDER BY due_at, id
                LIMIT $6) first
         ORDER BY first.due_at, first.id
         LIMIT $6) t
  JOIN dossier d ON d.id = t.dossier_id
 ORDER BY t.due_at, t.id;

-- name: own_desk
-- A page of the work an officer has taken, at any agency, what is due first on top.
SELECT t.id, t.kind, t.step, t.unit, t.role, t.state, t.assignee_account_id, t.due_at, t.started_at, t.version,
       d.code AS dossier_code, d.status, d.due_at AS dossier_due_at, d.urgent, d.procedure_code, p.name AS procedure_name,
       d.seq AS dossier_version
  FROM task t
  JOIN dossier d ON d.id = t.dossier_id
  JOIN procedure p ON p.code = d.procedure_code
 WHERE t.assignee_account_id = $1 AND t.state = 'claimed' AND (t.due_at, t.id) > ($2, $3)
 ORDER BY t.due_at, t.id
 LIMIT $4;

-- name: dispatch_desk
-- A page of dossiers whose competent agency nobody knows yet, of the whole province.
SELECT t.id, t.kind, t.step, t.unit, t.role, t.state, t.assignee_account_id, t.due_at, t.started_at, t.version,
       d.code AS dossier_code, d.status, d.due_at AS dossier_due_at, d.urgent, d.procedure_code, p.name AS procedure_name,
       d.seq AS dossier_version
  FROM task t
  JOIN dossier d ON d.id = t.dossier_id
  JOIN procedure p ON p.code = d.procedure_code
 WHERE t.kind = 'dispatch' AND t.state IN ('open', 'claimed') AND (t.due_at, t.id) > ($1, $2)
 ORDER BY t.due_at, t.id
 LIMIT $3;

-- name: head_counts
-- How many dossiers received here stand where, and how many of them are overdue or due soon.
SELECT status, count(*) AS dossiers,
       count(*) FILTER (WHERE due_at < $3) AS overdue,
       count(*) FILTER (WHERE due_at >= $3 AND due_at < $4) AS due_soon
  FROM dossier
 WHERE receipt_agency_id = $1 AND status = ANY ($2::text[])
 GROUP BY status
 ORDER BY status;

-- name: head_overdue
-- A page of dossiers received here that are overdue or due before an instant, the oldest due date first; each status is
-- read in the order of the index and no further than the page.
SELECT d.id, d.code, d.status, d.due_at, d.due_original_at, d.step, d.step_agency_id, d.procedure_code,
       p.name AS procedure_name, d.reappointments
  FROM unnest($2::text[]) AS watched (status)
 CROSS JOIN LATERAL (
       SELECT id, code, dossier.status, due_at, due_original_at, step, step_agency_id, procedure_code, reappointments
         FROM dossier
        WHERE receipt_agency_id = $1 AND dossier.status = watched.status AND due_at < $3 AND (due_at, id) > ($4, $5)
        ORDER BY due_at, id
        LIMIT $6) d
  JOIN procedure p ON p.code = d.procedure_code
 ORDER BY d.due_at, d.id
 LIMIT $6;

-- name: holders
-- Every key holder with what the signer last saw of it.
SELECT h.name, s.reachable, s.since, s.checked_at
  FROM key_holder h
  LEFT JOIN holder_state s ON s.name = h.name
 ORDER BY h.name;
