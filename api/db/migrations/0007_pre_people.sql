-- migrate:up
-- People: proposals that the signer applies after a second person's factor, enrolment of factors, passkeys, blocks.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE proposal (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CHECK (kind IN ('open_account', 'unlock_account', 'close_account', 'give_post', 'end_post', 'enrol_factor',
        'give_mandate', 'revoke_mandate', 'bind_certificate', 'revoke_certificate')),
    agency_id uuid NOT NULL REFERENCES agency (id),
    subject_account_id uuid REFERENCES account (id),
    content_sealed bytea NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    state text NOT NULL DEFAULT 'checking' CHECK (state IN ('checking', 'waiting', 'applied', 'refused', 'expired')),
    why jsonb,
    proposed_by_account_id uuid NOT NULL REFERENCES account (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    made_id uuid,
    CHECK ((state IN ('checking', 'waiting')) = (decided_at IS NULL))
);
CREATE INDEX proposal_open ON proposal (created_at) WHERE state IN ('checking', 'waiting');
CREATE INDEX proposal_agency ON proposal (agency_id, id);
COMMENT ON TABLE proposal IS 'A change of what the signer decides by: the API may only propose it; the signer applies it after a second person''s fresh factor. made_id is what came of it.';

CREATE TABLE enrolment (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    account_id uuid NOT NULL REFERENCES account (id),
    kind text NOT NULL CHECK (kind IN ('totp', 'passkey')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX enrolment_account ON enrolment (account_id, id);
COMMENT ON TABLE enrolment IS 'A second factor that somebody wants to have; its id is bound into what the browser signs or opens.';

CREATE TABLE enrolment_material (
    enrolment_id uuid PRIMARY KEY REFERENCES enrolment (id),
    public_part bytea NOT NULL CHECK (octet_length(public_part) BETWEEN 32 AND 8192),
    client_data bytea CHECK (octet_length(client_data) <= 4096),
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER enrolment_material_append_only BEFORE UPDATE OR DELETE ON enrolment_material FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE enrolment_material IS 'What the person''s browser made: a one-time public key for a TOTP secret, or a passkey''s attestation. Two persons approve its hash, told by word of mouth.';

CREATE TABLE enrolment_offer (
    enrolment_id uuid PRIMARY KEY REFERENCES enrolment (id),
    proposal_id uuid NOT NULL UNIQUE REFERENCES proposal (id),
    secret_sealed bytea,
    handed bytea,
    credential_id bytea,
    public_key bytea,
    sign_count bigint,
    tries integer NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    outcome text CHECK (outcome IN ('enrolled', 'failed', 'expired')),
    ended_at timestamptz,
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK ((secret_sealed IS NULL) <> (credential_id IS NULL))
);
COMMENT ON TABLE enrolment_offer IS 'What the signer made of an approved enrolment: it counts only after a first valid answer. handed is the TOTP secret sealed to the browser''s key.';

CREATE TABLE factor_answer (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    purpose text NOT NULL CHECK (purpose IN ('propose', 'approve', 'refuse', 'confirm')),
    proposal_id uuid REFERENCES proposal (id),
    enrolment_id uuid REFERENCES enrolment (id),
    account_id uuid NOT NULL REFERENCES account (id),
    post_id uuid NOT NULL REFERENCES post (id),
    kind text NOT NULL CHECK (kind IN ('totp', 'passkey', 'none')),
    response bytea NOT NULL CHECK (octet_length(response) <= 16384),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    offered_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((purpose = 'confirm') = (enrolment_id IS NOT NULL)),
    CHECK ((proposal_id IS NULL) <> (enrolment_id IS NULL))
);
CREATE UNIQUE INDEX factor_answer_proposer ON factor_answer (proposal_id) WHERE purpose = 'propose';
CREATE INDEX factor_answer_proposal ON factor_answer (proposal_id) WHERE proposal_id IS NOT NULL;
CREATE INDEX factor_answer_enrolment ON factor_answer (enrolment_id) WHERE enrolment_id IS NOT NULL;
CREATE TRIGGER factor_answer_append_only BEFORE UPDATE OR DELETE ON factor_answer FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE factor_answer IS 'What a person said to a proposal or enrolment, with a second factor as given: the signer alone reads and judges it.';

CREATE TABLE factor_verdict (
    answer_id uuid PRIMARY KEY REFERENCES factor_answer (id),
    accepted boolean NOT NULL,
    reason text NOT NULL,
    judged_at timestamptz NOT NULL
);
COMMENT ON TABLE factor_verdict IS 'The signer''s judgement of such an answer.';

CREATE TABLE passkey (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    account_id uuid NOT NULL REFERENCES account (id),
    credential_id bytea NOT NULL UNIQUE,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    last_failure_at timestamptz,
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX passkey_account ON passkey (account_id) WHERE revoked_at IS NULL;
COMMENT ON TABLE passkey IS 'Passkeys (WebAuthn): the signer writes them and alone verifies their assertions.';

CREATE TABLE passkey_nonce (
    account_id uuid NOT NULL REFERENCES account (id),
    nonce uuid NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, nonce)
);
CREATE INDEX passkey_nonce_age ON passkey_nonce (used_at);
COMMENT ON TABLE passkey_nonce IS 'Each challenge of a passkey is good once: authenticators that keep no counter could be replayed otherwise.';

CREATE TABLE account_block (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    account_id uuid NOT NULL REFERENCES account (id),
    what text NOT NULL CHECK (what IN ('account', 'factors')),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 2000),
    by_account_id uuid NOT NULL REFERENCES account (id),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lifted_at timestamptz
);
CREATE INDEX account_block_account ON account_block (account_id, at);
CREATE INDEX account_block_locked ON account_block (account_id) WHERE what = 'account' AND lifted_at IS NULL;
COMMENT ON TABLE account_block IS 'Blocking is easy: one row, which the API may insert and never take back. It stops an account, or every factor enrolled before it; only the signer lifts a block of an account.';

ALTER TABLE session ADD COLUMN restricted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN session.restricted IS 'Opened with a one-time password: nothing but changing it is allowed.';
ALTER TABLE account_password ADD COLUMN one_time_until timestamptz;
COMMENT ON COLUMN account_password.one_time_until IS 'Set where an administrator gave the password: good for one log-in that changes it, until then.';

GRANT SELECT (id, kind, agency_id, subject_account_id, content_sealed, digest, state, why, proposed_by_account_id, created_at, decided_at, made_id)
    ON proposal TO app;
GRANT INSERT (id, kind, agency_id, subject_account_id, content_sealed, digest, proposed_by_account_id) ON proposal TO app;
GRANT SELECT, UPDATE (state, why, decided_at, made_id) ON proposal TO signer;
GRANT SELECT (id, content_sealed), UPDATE (content_sealed) ON proposal TO worker;
GRANT SELECT ON enrolment, enrolment_material TO app, signer;
GRANT INSERT (id, account_id, kind) ON enrolment TO app;
GRANT INSERT (enrolment_id, public_part, client_data) ON enrolment_material TO app;
GRANT SELECT (enrolment_id, proposal_id, handed, tries, made_at, expires_at, outcome, ended_at) ON enrolment_offer TO app;
GRANT SELECT, INSERT ON enrolment_offer TO signer;
GRANT UPDATE (secret_sealed, handed, tries, outcome, ended_at) ON enrolment_offer TO signer;
GRANT INSERT (id, purpose, proposal_id, enrolment_id, account_id, post_id, kind, response, digest) ON factor_answer TO app;
GRANT SELECT (id, purpose, proposal_id, enrolment_id, account_id, post_id, kind, offered_at) ON factor_answer TO app;
GRANT SELECT ON factor_answer TO signer;
GRANT SELECT ON factor_verdict TO app, signer;
GRANT INSERT ON factor_verdict TO signer;
GRANT SELECT (id, account_id, credential_id, enrolled_at, revoked_at) ON passkey TO app;
GRANT SELECT, INSERT, UPDATE (sign_count, failures, last_failure_at, revoked_at) ON passkey TO signer;
GRANT SELECT, INSERT, DELETE ON passkey_nonce TO signer;
GRANT SELECT ON account_block TO app, signer;
GRANT INSERT (account_id, what, reason, by_account_id) ON account_block TO app;
GRANT UPDATE (lifted_at) ON account_block TO signer;
GRANT UPDATE (authorised_until) ON signature_batch TO signer;
GRANT UPDATE (restricted) ON session TO app;
GRANT INSERT (account_id, argon2, changed_at, one_time_until), UPDATE (one_time_until) ON account_password TO app;
GRANT INSERT ON person, person_private, official, post, post_holding, account TO signer;
GRANT UPDATE (valid_to) ON post_holding TO signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
