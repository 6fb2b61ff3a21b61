-- migrate:up
-- Signatures: chains of requests, batches asked by a person, what left and what came back, each key use.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE chain (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    document_id uuid NOT NULL REFERENCES document (id),
    dossier_id uuid NOT NULL REFERENCES dossier (id),
    result_id uuid NOT NULL REFERENCES result (id),
    draft_revision_id uuid NOT NULL REFERENCES revision (id),
    state text NOT NULL DEFAULT 'laying' CHECK (state IN ('laying', 'open', 'done', 'superseded', 'failed')),
    plan jsonb,
    mark text,
    lane text NOT NULL DEFAULT 'normal' CHECK (lane IN ('counter', 'normal')),
    submitted_by_account_id uuid NOT NULL REFERENCES account (id),
    submitted_at timestamptz NOT NULL,
    closed_at timestamptz,
    error jsonb
);
CREATE UNIQUE INDEX chain_open ON chain (document_id) WHERE state IN ('laying', 'open');
CREATE INDEX chain_dossier ON chain (dossier_id);
COMMENT ON TABLE chain IS 'One submission for signature (trình ký) of one document; at most one is open per document.';

CREATE TABLE signature_batch (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    account_id uuid NOT NULL REFERENCES account (id),
    person_id uuid NOT NULL REFERENCES person (id),
    post_id uuid NOT NULL REFERENCES post (id),
    agency_id uuid NOT NULL REFERENCES agency (id),
    session_id uuid,
    lane text NOT NULL CHECK (lane IN ('counter', 'normal')),
    item_count integer NOT NULL CHECK (item_count BETWEEN 1 AND 500),
    complete boolean NOT NULL DEFAULT false,
    trace_id text,
    asked_at timestamptz NOT NULL DEFAULT now(),
    authorised_until timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE INDEX signature_batch_account ON signature_batch (account_id, id);
CREATE INDEX signature_batch_open ON signature_batch (person_id, id) WHERE closed_at IS NULL;
COMMENT ON TABLE signature_batch IS 'A ticket (mã lượt ký): what one person asked to be signed at one moment, with one fresh second factor.';

CREATE TABLE step_up (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    batch_id uuid NOT NULL UNIQUE REFERENCES signature_batch (id),
    account_id uuid NOT NULL REFERENCES account (id),
    kind text NOT NULL CHECK (kind IN ('totp', 'passkey', 'remote')),
    response bytea NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    offered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE step_up IS 'The answer to a second factor as the person gave it; the signer alone can judge it, against the time of this commit. digest covers the digests shown.';

CREATE TABLE step_up_verdict (
    step_up_id uuid PRIMARY KEY REFERENCES step_up (id),
    accepted boolean NOT NULL,
    reason text,
    judged_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE step_up_verdict IS 'The signer''s judgement of a second factor.';

CREATE TABLE signature_request (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    chain_id uuid NOT NULL REFERENCES chain (id),
    document_id uuid NOT NULL REFERENCES document (id),
    dossier_id uuid NOT NULL REFERENCES dossier (id),
    result_id uuid NOT NULL REFERENCES result (id),
    group_no smallint NOT NULL CHECK (group_no > 0),
    ordinal smallint NOT NULL CHECK (ordinal > 0),
    role text NOT NULL CHECK (role IN ('initials', 'coordinator', 'signatory', 'seal')),
    pdf_signature boolean NOT NULL,
    act text NOT NULL CHECK (act IN ('main_document', 'separate_annex', 'copy', 'digitised_paper', 'counter_form')),
    field text NOT NULL,
    state text NOT NULL DEFAULT 'to_sign' CHECK (state IN
        ('to_sign', 'asked', 'prepared', 'sent', 'value_received', 'recorded', 'refused', 'expired', 'failed', 'superseded')),
    attempt integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    turn integer NOT NULL DEFAULT 0,
    person_id uuid REFERENCES person (id),
    post_id uuid REFERENCES post (id),
    agency_id uuid NOT NULL REFERENCES agency (id),
    capacity text CHECK (capacity IN ('plain', 'KT.', 'TL.', 'TUQ.', 'TM.', 'Q.')),
    title_lines text[] NOT NULL DEFAULT '{}',
    mandate_id uuid REFERENCES mandate (id),
    holder text,
    certificate_id uuid REFERENCES certificate (id),
    certificate_serial text,
    placement jsonb,
    due_at timestamptz,
    lane text NOT NULL CHECK (lane IN ('counter', 'normal')),
    predecessor_id uuid REFERENCES signature_request (id),
    batch_id uuid REFERENCES signature_batch (id),
    shown_sha256 bytea,
    transaction_id text,
    number_id uuid REFERENCES number (id),
    reason text,
    error jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    state_at timestamptz NOT NULL DEFAULT now(),
    deadline_at timestamptz,
    recorded_at timestamptz,
    recorded_sha256 bytea,
    UNIQUE (chain_id, ordinal),
    CHECK (state IN ('to_sign', 'superseded', 'refused') OR batch_id IS NOT NULL),
    CHECK ((state = 'recorded') = (recorded_at IS NOT NULL))
);
CREATE UNIQUE INDEX signature_request_writer ON signature_request (document_id) WHERE state IN ('asked', 'prepared', 'sent', 'value_received');
CREATE INDEX signature_request_to_sign_person ON signature_request (person_id, lane, due_at, id) WHERE state = 'to_sign';
CREATE INDEX signature_request_to_sign_agency ON signature_request (agency_id, role, lane, due_at, id) WHERE state = 'to_sign';
CREATE INDEX signature_request_recent ON signature_request (recorded_at) WHERE recorded_at IS NOT NULL;
CREATE INDEX signature_request_open ON signature_request (state, state_at) WHERE state IN ('asked', 'prepared', 'sent', 'value_received');
CREATE INDEX signature_request_batch ON signature_request (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX signature_request_transaction ON signature_request (transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX signature_request_dossier ON signature_request (dossier_id);
COMMENT ON TABLE signature_request IS 'One signature wanted on one document: who, in which post and capacity, with which key. The partial unique index lets one open job write a document.';

ALTER TABLE revision ADD CONSTRAINT revision_request FOREIGN KEY (request_id) REFERENCES signature_request (id);
ALTER TABLE number ADD CONSTRAINT number_request FOREIGN KEY (request_id) REFERENCES signature_request (id);
CREATE UNIQUE INDEX revision_once ON revision (request_id) WHERE request_id IS NOT NULL;
COMMENT ON INDEX revision_once IS 'A request is recorded at most once.';

CREATE TABLE batch_item (
    batch_id uuid NOT NULL REFERENCES signature_batch (id),
    ordinal integer NOT NULL,
    request_id uuid NOT NULL REFERENCES signature_request (id),
    shown_sha256 bytea NOT NULL CHECK (octet_length(shown_sha256) = 32),
    number_id uuid REFERENCES number (id),
    outcome text CHECK (outcome IN ('recorded', 'refused', 'expired', 'failed', 'superseded')),
    detail jsonb,
    ended_at timestamptz,
    PRIMARY KEY (batch_id, ordinal),
    UNIQUE (batch_id, request_id),
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE INDEX batch_item_request ON batch_item (request_id);
CREATE INDEX batch_item_open ON batch_item (batch_id) WHERE outcome IS NULL;
COMMENT ON TABLE batch_item IS 'The items of a ticket with exactly the digests shown; each ends in one terminal outcome.';

CREATE TABLE preparation (
    request_id uuid NOT NULL REFERENCES signature_request (id),
    attempt integer NOT NULL,
    base_sha256 bytea NOT NULL REFERENCES blob (sha256),
    base_size bigint NOT NULL,
    increment bytea NOT NULL,
    document_digest bytea NOT NULL,
    reserved_start bigint NOT NULL,
    reserved_end bigint NOT NULL,
    signed_attrs bytea NOT NULL,
    tbs_sha256 bytea NOT NULL CHECK (octet_length(tbs_sha256) = 32),
    certificate_id uuid NOT NULL REFERENCES certificate (id),
    mechanism text NOT NULL,
    prepared_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, attempt)
);
COMMENT ON TABLE preparation IS 'What survives the wait: the increment (a few kB) and the base''s hash, never a second copy of the file.';

CREATE TABLE holder_transaction (
    id text PRIMARY KEY,
    holder text NOT NULL REFERENCES key_holder (name),
    batch_id uuid NOT NULL REFERENCES signature_batch (id),
    credential_id text NOT NULL,
    person_id uuid NOT NULL REFERENCES person (id),
    state text NOT NULL CHECK (state IN ('starting', 'waiting', 'ended')),
    item_count integer NOT NULL,
    outcome text,
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    poll_at timestamptz NOT NULL,
    polls integer NOT NULL DEFAULT 0,
    ended_at timestamptz,
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX holder_transaction_poll ON holder_transaction (holder, poll_at) WHERE state <> 'ended';
CREATE INDEX holder_transaction_batch ON holder_transaction (batch_id);
COMMENT ON TABLE holder_transaction IS 'One authorisation asked of a key holder; nobody waits for it: one poller per holder looks when poll_at has come.';

CREATE TABLE key_use (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    request_id uuid NOT NULL REFERENCES signature_request (id),
    attempt integer NOT NULL,
    use_no integer NOT NULL CHECK (use_no > 0),
    tbs_sha256 bytea NOT NULL CHECK (octet_length(tbs_sha256) = 32),
    holder text NOT NULL,
    credential_id text NOT NULL,
    transaction_id text NOT NULL REFERENCES holder_transaction (id),
    at timestamptz NOT NULL,
    UNIQUE (request_id, attempt, use_no)
);
CREATE INDEX key_use_transaction ON key_use (transaction_id);
CREATE TRIGGER key_use_append_only BEFORE UPDATE OR DELETE ON key_use FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE key_use IS 'The intent, committed before each use of a key; a repeated use is over identical bytes and counted here.';

CREATE TABLE signature_answer (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    holder text NOT NULL,
    transaction_id text,
    body bytea NOT NULL CHECK (octet_length(body) <= 1048576),
    headers jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER signature_answer_append_only BEFORE UPDATE OR DELETE ON signature_answer FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE signature_answer IS 'What came from outside (webhook, upload), committed before it is answered; the signer alone judges it.';

CREATE TABLE answer_verdict (
    answer_id uuid PRIMARY KEY REFERENCES signature_answer (id),
    verdict text NOT NULL,
    judged_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE answer_verdict IS 'The signer''s judgement of an answer.';

CREATE TABLE signature_value (
    request_id uuid NOT NULL REFERENCES signature_request (id),
    attempt integer NOT NULL,
    value bytea NOT NULL,
    source text NOT NULL CHECK (source IN ('poll', 'webhook', 'upload')),
    received_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, attempt)
);
CREATE TRIGGER signature_value_append_only BEFORE UPDATE OR DELETE ON signature_value FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE signature_value IS 'At most one value per intent; it fitted certificate and attributes when it was written.';

-- The database repeats the rules of api/signatures/states.py: who may move a request where, and what must precede.
CREATE FUNCTION signature_request_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NEW.state = OLD.state THEN
        RETURN NEW;
    END IF;
    IF NOT (OLD.state, NEW.state) IN (
        ('to_sign', 'asked'), ('to_sign', 'refused'), ('to_sign', 'superseded'), ('to_sign', 'recorded'),
        ('asked', 'prepared'), ('asked', 'to_sign'), ('asked', 'refused'), ('asked', 'expired'), ('asked', 'failed'), ('asked', 'superseded'), ('asked', 'recorded'),
        ('prepared', 'sent'), ('prepared', 'asked'), ('prepared', 'to_sign'), ('prepared', 'expired'), ('prepared', 'failed'), ('prepared', 'superseded'),
        ('sent', 'value_received'), ('sent', 'to_sign'), ('sent', 'refused'), ('sent', 'expired'), ('sent', 'failed'),
        ('value_received', 'recorded'), ('value_received', 'asked'), ('value_received', 'to_sign'), ('value_received', 'failed'), ('value_received', 'superseded'),
        ('recorded', 'superseded'), ('failed', 'to_sign'), ('expired', 'to_sign')
    ) THEN
        RAISE EXCEPTION 'signature_request: % cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF current_user = 'app' AND NOT (OLD.state IN ('to_sign', 'asked') AND NEW.state IN ('to_sign', 'refused', 'superseded')) THEN
        RAISE EXCEPTION 'signature_request: the API may not move % to %', OLD.state, NEW.state USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.state IN ('asked', 'prepared', 'sent', 'recorded') AND EXISTS (
        SELECT 1 FROM public.signature_request before
         WHERE before.chain_id = NEW.chain_id AND before.group_no < NEW.group_no AND before.state <> 'recorded'
    ) THEN
        RAISE EXCEPTION 'signature_request: the group before is not recorded' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION signature_request_guard() IS 'No seal before the signatures it requires, no state the API may not write: a rule in the service and a constraint here.';
CREATE TRIGGER signature_request_guard BEFORE UPDATE OF state ON signature_request FOR EACH ROW EXECUTE FUNCTION signature_request_guard();

GRANT SELECT ON chain, signature_batch, step_up_verdict, signature_request, batch_item, holder_transaction TO app, signer, worker;
-- Nobody but the signer reads back what a person typed: a code is good for a minute, and for any ticket that offers it first.
GRANT SELECT ON step_up TO signer;
GRANT SELECT (id, batch_id, account_id, kind, offered_at) ON step_up TO app;
GRANT INSERT ON chain TO app;
-- The API names a request's place and people; state, ticket, digest and number are the signer's to write.
GRANT INSERT (chain_id, document_id, dossier_id, result_id, group_no, ordinal, role, pdf_signature, act, field, person_id, post_id,
    agency_id, capacity, title_lines, mandate_id, holder, certificate_id, certificate_serial, placement, due_at, lane,
    predecessor_id, created_at, state_at) ON signature_request TO app;
GRANT INSERT (account_id, person_id, post_id, agency_id, session_id, lane, item_count, trace_id, authorised_until) ON signature_batch TO app;
GRANT INSERT (batch_id, account_id, kind, response, digest) ON step_up TO app;
GRANT INSERT (batch_id, ordinal, request_id, shown_sha256, number_id) ON batch_item TO app;
GRANT UPDATE (state, closed_at) ON chain TO app;
GRANT UPDATE (state, closed_at, plan, error) ON chain TO signer, worker;
GRANT UPDATE (state, state_at, reason, version, batch_id, lane, due_at) ON signature_request TO app;
GRANT UPDATE ON signature_request TO signer;
GRANT INSERT ON signature_request TO signer;
GRANT UPDATE (field, placement) ON signature_request TO worker;
GRANT UPDATE (complete, closed_at) ON signature_batch TO signer;
GRANT UPDATE (outcome, detail, ended_at, number_id) ON batch_item TO signer;
GRANT UPDATE (outcome, detail, ended_at) ON batch_item TO app;
GRANT INSERT ON step_up_verdict TO signer;
GRANT SELECT, INSERT ON preparation, key_use, signature_value, answer_verdict TO signer;
GRANT SELECT ON key_use TO app, worker;
GRANT INSERT, UPDATE ON holder_transaction TO signer;
GRANT INSERT, SELECT (id) ON signature_answer TO app;
GRANT SELECT ON signature_answer TO signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
