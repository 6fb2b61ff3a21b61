-- name: rows_of
-- Which of these digests have a row.
SELECT sha256 FROM blob WHERE sha256 = ANY ($1::bytea[]);

-- name: blobs_after
-- The next rows in the order of their digests.
SELECT sha256, size, missing_since FROM blob WHERE sha256 > $1 ORDER BY sha256 LIMIT $2;

-- name: note_missing
-- The store does not have this file: since when we know.
UPDATE blob SET missing_since = $2 WHERE sha256 = $1 AND missing_since IS NULL;

-- name: note_found
-- The store has this file again.
UPDATE blob SET missing_since = NULL WHERE sha256 = $1;

-- name: forget_unreferenced
-- Drop the rows of files that nothing points to any more: what was sent in to be verified or printed at a desk loses its last pointer after a day.
DELETE FROM blob b
 WHERE b.stored_at < $1
   AND NOT EXISTS (SELECT FROM upload u WHERE u.sha256 = b.sha256 OR u.accepted_sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM revision v WHERE v.sha256 = b.sha256 OR v.base_sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM document m WHERE m.head_sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM rendition n WHERE n.sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM draft_order o WHERE o.base_sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM file_check c WHERE c.sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM print_order p WHERE p.sha256 = b.sha256)
   AND NOT EXISTS (SELECT FROM handed_back h WHERE h.file_sha256 = b.sha256)
RETURNING b.sha256;
