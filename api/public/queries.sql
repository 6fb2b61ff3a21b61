-- name: track
-- Stage and dates of dossiers for whoever has their codes, of requests that came together.
SELECT d.code, d.status, d.procedure_code, p.name AS procedure_name, d.received_at, d.due_at, d.finished_at, d.seq
  FROM dossier d
  JOIN procedure p ON p.code = d.procedure_code
 WHERE d.code = ANY ($1::text[]);

-- name: track_with_secret
-- What the citizen who holds the secret may see besides: deadlines, money, results; nobody's personal data.
SELECT d.id, d.code, d.status, d.procedure_code, p.name AS procedure_name, d.received_at, d.due_at, d.finished_at, d.seq,
       d.submitted_at, d.due_original_at, d.finance, d.delivery, d.outcome, d.paused_at, a.secret_sha256,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('at', j.occurred_at, 'action', j.action, 'agency_name', j.agency_name)
                   ORDER BY j.seq), '[]')
          FROM journal j
         WHERE j.dossier_id = d.id AND j.action = ANY ($2::text[])) AS progress,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('from_at', s.from_at, 'to_at', s.to_at, 'reason', s.reason,
                   'items', s.items) ORDER BY s.ordinal), '[]')
          FROM dossier_pause s
         WHERE s.dossier_id = d.id) AS pauses,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('code', f.code, 'name', f.name, 'amount_vnd', f.amount_vnd,
                   'state', f.state) ORDER BY f.id), '[]')
          FROM dossier_fee f
         WHERE f.dossier_id = d.id) AS fees,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'title', r.title, 'effect', r.effect,
                   'verify_code', r.verify_code, 'issued_at', r.issued_at, 'documents',
                   (SELECT coalesce(jsonb_agg(jsonb_build_object('ordinal', m.ordinal, 'title', m.title, 'act', m.act)
                             ORDER BY m.ordinal), '[]') FROM document m WHERE m.result_id = r.id)) ORDER BY r.ordinal), '[]')
          FROM result r
         WHERE r.dossier_id = d.id AND r.state = 'issued') AS results,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.since), '[]') FROM held_result x WHERE x.dossier_id = d.id) AS held
  FROM dossier d
  JOIN procedure p ON p.code = d.procedure_code
  JOIN dossier_access a ON a.dossier_id = d.id
 WHERE d.code = $1;
