-- name: series_of_documents
-- The series that documents draw their numbers from on a day: their agency, their kind, their book.
SELECT DISTINCT ON (m.id) m.id AS document_id, s.id, s.agency_id, s.kind_code, s.book, s.pattern, s.owner, s.foreign_system,
       s.yearly, s.legal_basis, s.valid_from, s.valid_to
  FROM document m
  JOIN result r ON r.id = m.result_id
  JOIN dossier d ON d.id = m.dossier_id
  JOIN procedure_version v ON v.id = d.procedure_version_id
  JOIN number_series s ON s.agency_id = coalesce(d.competent_agency_id, d.step_agency_id) AND s.kind_code = r.kind_code
   AND s.book = CASE WHEN r.refusal THEN '' ELSE coalesce(v.definition -> 'result' ->> 'book', '') END
   AND s.valid_from <= $2 AND (s.valid_to IS NULL OR $2 < s.valid_to)
 WHERE m.id = ANY ($1::uuid[])
 ORDER BY m.id, s.valid_from DESC;

-- name: series_by_id
-- One series.
SELECT id, agency_id, kind_code, book, pattern, owner, foreign_system, yearly, legal_basis, valid_from, valid_to
  FROM number_series
 WHERE id = $1;

-- name: series_of_agency
-- The series of an agency that are in force on a day.
SELECT id, kind_code, book, pattern, owner, yearly, legal_basis
  FROM number_series
 WHERE agency_id = $1 AND valid_from <= $2 AND (valid_to IS NULL OR $2 < valid_to)
 ORDER BY kind_code, book;

-- name: numbers_of_documents
-- The numbers that documents have, reserved or used.
SELECT id, series_id, year, n, text, day, document_id FROM number WHERE document_id = ANY ($1::uuid[]) AND state <> 'void';

-- name: take_numbers
-- Count numbers of a series and year, and return the last of them; the row stays locked until the commit, so this comes last.
INSERT INTO number_counter (series_id, year, n) VALUES ($1, $2, $3)
    ON CONFLICT (series_id, year) DO UPDATE SET n = number_counter.n + excluded.n
RETURNING n;

-- name: insert_numbers
-- Enter reserved numbers of one series in the register.
INSERT INTO number (id, series_id, year, n, text, day, state, document_id, request_id, reserved_at)
SELECT t.id, $1, $2, t.n, t.text, $3, 'reserved', t.document_id, t.request_id, $4
  FROM unnest($5::uuid[], $6::integer[], $7::text[], $8::uuid[], $9::uuid[]) AS t (id, n, text, document_id, request_id);

-- name: enter_number
-- Enter the number that a foreign register gave; nothing where the document has one or the number is taken.
INSERT INTO number (id, series_id, year, n, text, day, state, document_id, reserved_at)
VALUES ($1, $2, $3, $4, $5, $6, 'reserved', $7, $8)
    ON CONFLICT DO NOTHING
RETURNING id;

-- name: hold_numbers
-- Numbers that documents have already are held by the seals that will use them.
UPDATE number SET request_id = held.request_id
  FROM unnest($1::uuid[], $2::uuid[]) AS held (id, request_id)
 WHERE number.id = held.id AND number.state = 'reserved';

-- name: use_number
-- The number stands in the sealed document now.
UPDATE number SET state = 'used', settled_at = $2 WHERE id = $1 AND state = 'reserved' RETURNING id;

-- name: void_number
-- The number is not used and never will be; its row stays.
UPDATE number SET state = 'void', reason = $2, settled_at = $3 WHERE id = $1 AND state = 'reserved' RETURNING id;

-- name: number_owner
-- Whose register a number stands in, and whether it can still be voided.
SELECT u.id, u.state, u.request_id, s.agency_id
  FROM number u
  JOIN number_series s ON s.id = u.series_id
 WHERE u.id = $1;

-- name: register_page
-- A page of the register, in the order of the numbers.
SELECT n, text, state, day, document_id, reason
  FROM number
 WHERE series_id = $1 AND year = $2 AND n > $3
 ORDER BY n
 LIMIT $4;

-- name: number_gaps
-- Ranges of a register that will never have a row, and why.
SELECT first, last, reason FROM number_gap WHERE series_id = $1 AND year = $2 ORDER BY first;

-- name: last_number
-- The last number given in a series and year.
SELECT coalesce(max(n), 0) FROM number_counter WHERE series_id = $1 AND year = $2;

-- name: last_entered
-- The greatest number that was entered from a foreign register.
SELECT coalesce(max(n), 0) FROM number WHERE series_id = $1 AND year = $2;

-- name: count_numbers
-- How many rows the register of a series and year has: fewer than the counter says means gaps.
SELECT count(*) FROM number WHERE series_id = $1 AND year = $2;
