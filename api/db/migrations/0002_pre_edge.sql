-- migrate:up
-- The edge: sessions, log-in attempts, idempotency keys; and audit, which every slice writes.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE session (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    token_sha256 bytea NOT NULL UNIQUE,
    account_id uuid NOT NULL REFERENCES account (id),
    post_id uuid NOT NULL REFERENCES post (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    source inet,
    user_agent text
);
CREATE INDEX session_account ON session (account_id) WHERE ended_at IS NULL;
COMMENT ON TABLE session IS 'Server-side sessions of officials; they outlive a restart. Only the hash of the token is kept.';

CREATE TABLE login_attempt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login_fingerprint bytea NOT NULL,
    source inet,
    succeeded boolean NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_attempt_lookup ON login_attempt (login_fingerprint, source, at);
COMMENT ON TABLE login_attempt IS 'Counts failures by account and source together: nobody locks a chairman out from outside.';

CREATE TABLE idempotency (
    actor text NOT NULL,
    route text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    body_sha256 bytea NOT NULL,
    status smallint NOT NULL,
    answer json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, route, key)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
COMMENT ON TABLE idempotency IS 'The answer to an intent, as a reference without personal data, written in the transaction of its effect.';

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor_account_id uuid,
    actor_post_id uuid,
    actor_agency_id uuid,
    process text NOT NULL,
    action text NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid,
    detail jsonb NOT NULL,
    source inet,
    trace_id text,
    canonical bytea NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX audit_subject ON audit (subject_kind, subject_id, id);
CREATE INDEX audit_actor ON audit (actor_account_id, id);
CREATE INDEX audit_xid ON audit (xid, id);
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE audit IS 'Who did what, in the transaction of the act: plain rows with their digest; chained later by one sealer over committed rows only.';

CREATE TABLE view_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    account_id uuid NOT NULL,
    post_id uuid NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    purpose text NOT NULL
);
CREATE INDEX view_log_subject ON view_log (subject_kind, subject_id, id);
CREATE TRIGGER view_log_append_only BEFORE UPDATE OR DELETE ON view_log FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE view_log IS 'Every view of personal data by staff: who, when, of what, why.';

CREATE TABLE job_claim (
    key text PRIMARY KEY,
    kind text NOT NULL,
    claims integer NOT NULL DEFAULT 1,
    failures integer NOT NULL DEFAULT 0,
    first_claimed_at timestamptz NOT NULL DEFAULT now(),
    last_claimed_at timestamptz NOT NULL DEFAULT now(),
    parked_at timestamptz,
    reason text,
    payload bytea,
    priority integer NOT NULL DEFAULT 0,
    CHECK ((parked_at IS NULL) = (reason IS NULL))
);
CREATE INDEX job_claim_parked ON job_claim (parked_at) WHERE parked_at IS NOT NULL;
COMMENT ON TABLE job_claim IS 'How often a piece of work was begun, committed before it begins: a job that kills its process is parked after three claims.';

GRANT SELECT, INSERT ON session TO app;
GRANT UPDATE (seen_at, ended_at, expires_at, post_id) ON session TO app;
GRANT SELECT ON session TO signer, worker;
GRANT DELETE ON session TO worker;
GRANT SELECT, INSERT ON login_attempt TO app;
GRANT SELECT, DELETE ON login_attempt TO worker;
GRANT SELECT, INSERT, DELETE ON idempotency TO app;
GRANT SELECT, DELETE ON idempotency TO worker;
GRANT SELECT, INSERT ON audit, view_log TO app, signer, worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON job_claim TO signer, worker;
GRANT SELECT ON job_claim TO app;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
