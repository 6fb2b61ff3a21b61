-- migrate:up
-- Levels above B-B: what is owed of each sealed revision, what was fetched of revocation, and what it says of our certificates.
-- New tables only, so nothing of the version before notices.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE level_debt (
    revision_id uuid PRIMARY KEY REFERENCES revision (id),
    document_id uuid NOT NULL REFERENCES document (id),
    request_id uuid NOT NULL REFERENCES signature_request (id),
    wanted text NOT NULL CHECK (wanted IN ('B-T', 'B-LT', 'B-LTA')),
    level text NOT NULL DEFAULT 'B-B' CHECK (level IN ('B-B', 'B-T', 'B-LT', 'B-LTA')),
    sha256 bytea NOT NULL REFERENCES blob (sha256),
    signed_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    try_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    problem text,
    paid_at timestamptz,
    authority text,
    renew_at timestamptz,
    CHECK ((paid_at IS NULL) OR (level <> 'B-B'))
);
CREATE INDEX level_debt_open ON level_debt (due_at, revision_id) WHERE paid_at IS NULL;
CREATE INDEX level_debt_renewal ON level_debt (renew_at) WHERE paid_at IS NOT NULL AND renew_at IS NOT NULL;
CREATE INDEX level_debt_paid ON level_debt (paid_at) WHERE paid_at IS NOT NULL;
CREATE INDEX level_debt_request ON level_debt (request_id);
COMMENT ON TABLE level_debt IS 'The level (mức chữ ký PAdES) that a sealed revision owes, or has reached; sha256 is its newest rendition, renew_at when an archived one owes another timestamp.';

CREATE TABLE revocation_answer (
    key text PRIMARY KEY,
    value bytea NOT NULL,
    until timestamptz NOT NULL,
    stored_at timestamptz NOT NULL
);
COMMENT ON TABLE revocation_answer IS 'OCSP responses and CRLs as fetched, for all signers and across restarts; public data, signed by their authorities.';

CREATE TABLE certificate_status (
    certificate_id uuid PRIMARY KEY REFERENCES certificate (id),
    state text NOT NULL CHECK (state IN ('good', 'revoked', 'unknown')),
    known_at timestamptz,
    checked_at timestamptz NOT NULL,
    problem text
);
COMMENT ON TABLE certificate_status IS 'What the authorities say of each certificate in use, when they were last asked, and why nothing newer is known.';

GRANT SELECT, INSERT, UPDATE ON level_debt TO signer;
GRANT SELECT ON level_debt TO app, worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON revocation_answer TO signer;
GRANT SELECT, INSERT, UPDATE ON certificate_status TO signer;
GRANT SELECT ON certificate_status TO app, worker;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
