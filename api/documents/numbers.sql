-- name: find_series
-- The series an agency numbers this kind of document in (or this book) on this day; the newest that has begun.
SELECT id, agency_id, kind_code, book, pattern, owner, foreign_system, yearly, legal_basis
  FROM number_series
 WHERE agency_id = $1 AND kind_code = ANY ($2::text[]) AND book = $3 AND valid_from <= $4 AND (valid_to IS NULL OR valid_to > $4)
 ORDER BY array_position($2::text[], kind_code), valid_from DESC
 LIMIT 1;

-- name: next_number
-- The next number of a series in its year; the row is shared by everybody who seals here, so it is taken last.
INSERT INTO number_counter AS c (series_id, year, n) VALUES ($1, $2, 1)
ON CONFLICT (series_id, year) DO UPDATE SET n = c.n + 1
RETURNING n;

-- name: insert_number
-- A number is reserved for one document.
INSERT INTO number (series_id, year, n, text, day, state, document_id, reserved_at)
VALUES ($1, $2, $3, $4, $5, 'reserved', $6, $7)
RETURNING id;

-- name: void_number
-- A reserved number that will not be used stays in the register with its reason.
UPDATE number SET state = 'void', reason = $2, settled_at = $3 WHERE id = $1 AND state = 'reserved' RETURNING series_id;

-- name: number_view
-- One number with the agency that owns its series.
SELECT number.id, number.state, number.text, number_series.agency_id
  FROM number JOIN number_series ON number_series.id = number.series_id
 WHERE number.id = $1;

-- name: series_of_agency
-- The series of an agency.
SELECT id, kind_code, book, pattern, owner, yearly, legal_basis
  FROM number_series
 WHERE agency_id = $1
 ORDER BY kind_code, book, valid_from;

-- name: series_head
-- One series with its count in a year.
SELECT number_series.id, number_series.agency_id, number_series.pattern, number_series.owner, coalesce(number_counter.n, 0) AS last
  FROM number_series
  LEFT JOIN number_counter ON number_counter.series_id = number_series.id AND number_counter.year = $2
 WHERE number_series.id = $1;

-- name: register_page
-- A page of a register from a number on.
SELECT n, text, state, day, document_id, reason
  FROM number
 WHERE series_id = $1 AND year = $2 AND n > $3
 ORDER BY n
 LIMIT $4;
