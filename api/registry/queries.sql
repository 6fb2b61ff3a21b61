-- name: procedure_version
-- One version of a procedure by its id, with what its procedure is called.
SELECT v.id, v.code, v.version, p.name, p.field_code, p.field_name, p.code_checked, v.definition, v.form_of_result,
       v.owning_system, v.legal_basis, v.valid_from, v.valid_to
  FROM procedure_version v
  JOIN procedure p ON p.code = v.code
 WHERE v.id = $1;

-- name: procedure_versions
-- Every version of one procedure, newest first.
SELECT v.id, v.code, v.version, p.name, p.field_code, p.field_name, p.code_checked, v.definition, v.form_of_result,
       v.owning_system, v.legal_basis, v.valid_from, v.valid_to
  FROM procedure_version v
  JOIN procedure p ON p.code = v.code
 WHERE v.code = $1
 ORDER BY v.version DESC;

-- name: current_procedures
-- What is in force on one day, for the public list, in the order of the Vietnamese alphabet.
SELECT v.id, v.code, v.version, p.name, p.field_code, p.field_name, p.code_checked, v.definition, v.form_of_result,
       v.owning_system, v.legal_basis, v.valid_from, v.valid_to
  FROM procedure_version v
  JOIN procedure p ON p.code = v.code
 WHERE v.valid_from <= $1 AND (v.valid_to IS NULL OR $1 < v.valid_to)
 ORDER BY p.sort_key, v.code;

-- name: competence_of_procedure
-- Every row that says who decides one procedure.
SELECT procedure_code, procedure_version_id, territory_code, agency_id, legal_basis, valid_from, valid_to
  FROM competence
 WHERE procedure_code = $1;

-- name: territory_parents
-- Each territory with the one around it.
SELECT code, parent_code
  FROM territory;

-- name: agency
-- One agency by its id, ended ones too.
SELECT id, code, kind, name, parent_id, territory_code, valid_from, valid_to
  FROM agency
 WHERE id = $1;

-- name: agency_names
-- The names one agency bore, oldest first.
SELECT name, valid_from, valid_to
  FROM agency_name
 WHERE agency_id = $1
 ORDER BY valid_from;

-- name: current_agencies
-- The agencies that exist on one day, in the order of the Vietnamese alphabet.
SELECT id, code, kind, name, parent_id, territory_code, valid_from, valid_to
  FROM agency
 WHERE valid_from <= $1 AND (valid_to IS NULL OR $1 < valid_to)
 ORDER BY sort_key, code;

-- name: agencies_by_code
-- Agencies known by a code under any scheme on one day; more than one answer means the code does not decide.
SELECT DISTINCT a.id, a.code, a.kind, a.name, a.parent_id, a.territory_code, a.valid_from, a.valid_to
  FROM agency a
  LEFT JOIN agency_code c ON c.agency_id = a.id AND c.code = $1 AND c.valid_from <= $2 AND (c.valid_to IS NULL OR $2 < c.valid_to)
 WHERE (a.code = $1 OR c.code IS NOT NULL) AND a.valid_from <= $2 AND (a.valid_to IS NULL OR $2 < a.valid_to);

-- name: successors
-- Who took over from an agency, when, and whether wholly or for one procedure.
SELECT predecessor_id, successor_id, kind, procedure_code, effective_at, legal_basis
  FROM agency_succession
 WHERE predecessor_id = $1
 ORDER BY effective_at, successor_id;

-- name: legal_rules
-- Every dated rule of law that the system applies.
SELECT key, value, legal_basis, checked, valid_from, valid_to
  FROM legal_rule;

-- name: calendar_days
-- The days of one calendar version that differ from their place in the week.
SELECT day, kind, name, legal_ref
  FROM calendar_day
 WHERE version = $1;

-- name: latest_calendar
-- The calendar version that new dossiers begin with.
SELECT max(version) AS version
  FROM calendar_version;

-- name: mandates_of_post
-- Every right to sign that one person has or had in one post at one agency; read fresh, never cached.
SELECT id, kind, capacity, person_id, post_id, agency_id, acts, procedure_codes, title_lines, legal_basis, valid_from,
       valid_to, revoked_at
  FROM mandate
 WHERE person_id = $1 AND post_id = $2 AND agency_id = $3;

-- name: signatories_of_agency
-- Who holds a right to sign at an agency at one instant and still holds the post, by name.
SELECT m.id, m.kind, m.capacity, m.person_id, m.post_id, m.agency_id, m.acts, m.procedure_codes, m.title_lines,
       m.legal_basis, m.valid_from, m.valid_to, m.revoked_at, o.display_name
  FROM mandate m
  JOIN official o ON o.person_id = m.person_id
  JOIN post_holding h ON h.person_id = m.person_id AND h.post_id = m.post_id
   AND h.valid_from <= $2 AND (h.valid_to IS NULL OR $2 < h.valid_to)
 WHERE m.agency_id = $1 AND m.valid_from <= $2 AND (m.valid_to IS NULL OR $2 < m.valid_to) AND m.revoked_at IS NULL
 ORDER BY o.sort_key, m.id;

-- name: holds_post
-- Whether one person holds one post of one agency at one instant.
SELECT EXISTS (
    SELECT 1
      FROM post_holding h
      JOIN post p ON p.id = h.post_id
     WHERE h.person_id = $1 AND h.post_id = $2 AND p.agency_id = $3
       AND h.valid_from <= $4 AND (h.valid_to IS NULL OR $4 < h.valid_to)
) AS holds;

-- name: registry_version
-- The count of changes of the registry.
SELECT version
  FROM registry_version;

-- name: lock_procedure
-- Let one publisher of this procedure in at a time, for the length of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('procedure:' || $1, 0));

-- name: insert_procedure
-- A procedure seen for the first time; a known one keeps its name.
INSERT INTO procedure (code, name, sort_key, field_code, field_name, code_checked)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (code) DO NOTHING;

-- name: insert_version
-- The next version of a procedure.
INSERT INTO procedure_version (code, version, definition, form_of_result, owning_system, legal_basis, valid_from, published_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id;

-- name: end_version
-- The version before ends on the day the next one begins; dossiers that began with it keep it.
UPDATE procedure_version
   SET valid_to = $2
 WHERE id = $1;

-- name: insert_competence_of_communes
-- Every commune and ward decides this procedure in its own territory from a day on, where nobody yet does.
INSERT INTO competence (procedure_code, territory_code, agency_id, legal_basis, valid_from)
SELECT $1, a.territory_code, a.id, $2, $3
  FROM agency a
 WHERE a.kind = 'commune' AND a.territory_code IS NOT NULL AND a.valid_from <= $3
   AND (a.valid_to IS NULL OR $3 < a.valid_to)
   AND NOT EXISTS (SELECT 1 FROM competence c
                    WHERE c.procedure_code = $1 AND c.territory_code = a.territory_code
                      AND (c.valid_to IS NULL OR $3 < c.valid_to));

-- name: insert_competence
-- One agency decides this procedure in one territory from a day on.
INSERT INTO competence (procedure_code, territory_code, agency_id, legal_basis, valid_from)
VALUES ($1, $2, $3, $4, $5);
