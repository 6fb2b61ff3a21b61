-- name: append_audit
-- Write one plain row in the caller's transaction; the sealer chains committed rows later by xid.
INSERT INTO audit (at, actor_account_id, actor_post_id, actor_agency_id, process, action, subject_kind, subject_id,
                   detail, source, trace_id, canonical, digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13);

-- name: append_view
-- Record that an official saw personal data, of what and why.
INSERT INTO view_log (at, account_id, post_id, subject_kind, subject_id, purpose)
VALUES ($1, $2, $3, $4, $5, $6);
