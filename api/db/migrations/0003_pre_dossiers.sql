-- migrate:up
-- Dossiers (hồ sơ): the journal is the source of truth, the dossier row its projection; open work is rows.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE dossier_counter (
    agency_id uuid NOT NULL REFERENCES agency (id),
    day date NOT NULL,
    n integer NOT NULL,
    PRIMARY KEY (agency_id, day)
);
COMMENT ON TABLE dossier_counter IS 'The last sequence number per agency and Vietnamese day; taken last, just before commit: hence the deferred references to dossier below.';

CREATE TABLE dossier (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    code text NOT NULL UNIQUE,
    seq integer NOT NULL,
    procedure_code text NOT NULL REFERENCES procedure (code),
    procedure_version_id uuid NOT NULL REFERENCES procedure_version (id),
    calendar_version integer NOT NULL REFERENCES calendar_version (version),
    form_version text NOT NULL,
    fee_version text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('counter', 'online', 'post')),
    help_agency_id uuid REFERENCES agency (id),
    receipt_agency_id uuid NOT NULL REFERENCES agency (id),
    competent_agency_id uuid REFERENCES agency (id),
    step_agency_id uuid NOT NULL REFERENCES agency (id),
    step_unit text,
    transfer_agency_id uuid REFERENCES agency (id),
    transfer_unit text,
    owning_system text NOT NULL CHECK (owning_system IN ('province', 'ministry')),
    territory_code text REFERENCES territory (code),
    status text NOT NULL CHECK (status IN ('submitted', 'supplement_at_intake', 'intake_refused', 'received', 'appraising',
        'supplement_asked', 'duty_asked', 'drafting', 'awaiting_signature', 'awaiting_issue', 'done', 'delivered',
        'withdrawn', 'stopped')),
    finance text NOT NULL CHECK (finance IN ('none', 'due', 'paid', 'refunded', 'exempt')),
    delivery text NOT NULL CHECK (delivery IN ('none', 'waiting', 'partly', 'delivered', 'undeliverable')),
    sync text NOT NULL CHECK (sync IN ('pending', 'synchronised', 'failed', 'not_applicable')),
    step text NOT NULL,
    outcome text CHECK (outcome IN ('granted', 'refused')),
    results jsonb NOT NULL DEFAULT '{}',
    supplements jsonb NOT NULL DEFAULT '{}',
    open_opinions integer NOT NULL DEFAULT 0 CHECK (open_opinions >= 0),
    submitted_at timestamptz NOT NULL,
    received_at timestamptz,
    due_original_at timestamptz,
    due_at timestamptz,
    step_due_original_at timestamptz,
    step_due_at timestamptz,
    paused_at timestamptz,
    finished_at timestamptz,
    reappointments integer NOT NULL DEFAULT 0,
    urgent boolean NOT NULL DEFAULT false,
    CHECK ((paused_at IS NOT NULL) = (status IN ('supplement_asked', 'duty_asked'))),
    CHECK (received_at IS NOT NULL OR status IN ('submitted', 'supplement_at_intake', 'intake_refused', 'withdrawn')),
    CHECK ((due_at IS NULL) = (due_original_at IS NULL))
);
CREATE INDEX dossier_step_list ON dossier (step_agency_id, status, due_at, id);
CREATE INDEX dossier_receipt_list ON dossier (receipt_agency_id, status, due_at, id);
COMMENT ON TABLE dossier IS 'The present state of a dossier, rebuilt column for column from its journal; help, receipt, competence, step and owning system are five columns.';
COMMENT ON COLUMN dossier.results IS 'Id of each result with where it stands: to_sign, signed, issued, blocked, delivered, returned, replaced, recalled.';
COMMENT ON COLUMN dossier.supplements IS 'How many supplements each stage has asked for: the limit is bound to the stage, not to the dossier.';

CREATE TABLE dossier_access (
    dossier_id uuid PRIMARY KEY REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    given_at timestamptz NOT NULL
);
COMMENT ON TABLE dossier_access IS 'The hash of the secret a citizen was given once; a lost one is replaced, hence no part of the projection.';

CREATE TABLE dossier_code (
    issuer text NOT NULL,
    code text NOT NULL,
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (issuer, code)
);
CREATE INDEX dossier_code_dossier ON dossier_code (dossier_id);
COMMENT ON TABLE dossier_code IS 'Codes others gave this dossier (the national portal, a predecessor''s system): unique per issuer.';

CREATE TABLE dossier_party (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    role text NOT NULL CHECK (role IN ('filer', 'subject', 'owner')),
    ordinal smallint NOT NULL,
    person_id uuid NOT NULL REFERENCES person (id),
    representation_basis text,
    UNIQUE (dossier_id, role, ordinal)
);
CREATE INDEX dossier_party_person ON dossier_party (person_id);
COMMENT ON TABLE dossier_party IS 'Who files, whom it concerns (two spouses are two rows), and on what basis somebody represents another.';

CREATE TABLE dossier_link (
    from_dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    to_dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL CHECK (kind IN ('output_is_input', 'filed_together', 'replaces')),
    PRIMARY KEY (from_dossier_id, to_dossier_id, kind),
    CHECK (from_dossier_id <> to_dossier_id)
);
COMMENT ON TABLE dossier_link IS 'Linked procedures (liên thông): the output of one is the input of another.';

CREATE TABLE journal (
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    seq integer NOT NULL CHECK (seq > 0),
    action text NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    source text NOT NULL CHECK (source IN ('counter', 'online', 'portal', 'import', 'contingency', 'system')),
    actor_account_id uuid,
    actor_post_id uuid,
    actor_agency_id uuid,
    agency_name text,
    data jsonb NOT NULL,
    effect jsonb NOT NULL,
    PRIMARY KEY (dossier_id, seq),
    CHECK (source = 'import' OR occurred_at <= recorded_at + interval '5 minutes')
);
CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE ON journal FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE journal IS 'What happened to a dossier, line by line, with the agency''s name of that time; never changed, never personal data.';
COMMENT ON COLUMN journal.data IS 'The facts of the line; `effect` holds what it set in the projection, so that a later rule never rewrites history.';

CREATE TABLE dossier_note (
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    seq integer NOT NULL,
    text_sealed bytea NOT NULL,
    PRIMARY KEY (dossier_id, seq)
);
CREATE TRIGGER dossier_note_append_only BEFORE DELETE ON dossier_note FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE dossier_note IS 'What a person wrote in free words with a journal line (reasons, questions, opinions): it may name people, hence sealed.';

CREATE TABLE task (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL CHECK (kind IN ('work', 'hand_over', 'opinion', 'dispatch')),
    step text NOT NULL,
    agency_id uuid NOT NULL REFERENCES agency (id),
    unit text,
    role text NOT NULL,
    assignee_account_id uuid REFERENCES account (id),
    state text NOT NULL CHECK (state IN ('open', 'claimed', 'done', 'cancelled')),
    due_original_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    claimed_at timestamptz,
    ended_at timestamptz,
    outcome text,
    asked_by_account_id uuid REFERENCES account (id),
    asked_by_agency_id uuid REFERENCES agency (id),
    question_seq integer,
    answer_seq integer,
    version integer NOT NULL DEFAULT 1,
    CHECK ((state = 'claimed') <= (assignee_account_id IS NOT NULL)),
    CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK ((kind = 'opinion') <= (question_seq IS NOT NULL)),
    CHECK ((kind = 'opinion' AND state = 'done') <= (answer_seq IS NOT NULL))
);
CREATE INDEX task_open_list ON task (agency_id, role, due_at, id) WHERE state IN ('open', 'claimed');
CREATE INDEX task_mine ON task (assignee_account_id, due_at, id) WHERE state = 'claimed';
CREATE INDEX task_dispatch ON task (due_at, id) WHERE kind = 'dispatch' AND state IN ('open', 'claimed');
CREATE INDEX task_dossier ON task (dossier_id);
CREATE UNIQUE INDEX task_work_once ON task (dossier_id, kind) WHERE kind <> 'opinion' AND state IN ('open', 'claimed');
COMMENT ON TABLE task IS 'Open work: assignee, unit, due, outcome; several at once (parallel opinions, each with a deadline; silence is never consent).';

CREATE TABLE dossier_pause (
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    ordinal smallint NOT NULL,
    reason text NOT NULL CHECK (reason IN ('supplement', 'financial_duty')),
    stage text NOT NULL,
    items jsonb NOT NULL,
    legal_basis text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz,
    PRIMARY KEY (dossier_id, ordinal)
);
CREATE UNIQUE INDEX dossier_pause_open ON dossier_pause (dossier_id) WHERE to_at IS NULL;
COMMENT ON TABLE dossier_pause IS 'Each interval in which the clock stands, with its reason, stage and basis.';

CREATE TABLE dossier_deadline (
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    seq integer NOT NULL,
    due_at timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (dossier_id, seq)
);
COMMENT ON TABLE dossier_deadline IS 'Every due date that was ever given, in order, with why it changed.';

CREATE TABLE dossier_part (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    part_code text NOT NULL,
    name text NOT NULL,
    originals smallint NOT NULL DEFAULT 0,
    certified_copies smallint NOT NULL DEFAULT 0,
    plain_copies smallint NOT NULL DEFAULT 0,
    upload_id uuid,
    origin text NOT NULL CHECK (origin IN ('paper', 'digitised', 'electronic', 'reused', 'national_store')),
    given_back_at timestamptz
);
CREATE INDEX dossier_part_dossier ON dossier_part (dossier_id);
COMMENT ON TABLE dossier_part IS 'Parts handed in (thành phần hồ sơ) with the numbers of originals, certified and plain copies that Form 01 prints.';

CREATE TABLE dossier_fee (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    dossier_id uuid NOT NULL REFERENCES dossier (id) DEFERRABLE INITIALLY DEFERRED,
    code text NOT NULL,
    name text NOT NULL,
    amount_vnd bigint NOT NULL CHECK (amount_vnd >= 0),
    state text NOT NULL CHECK (state IN ('due', 'paid', 'exempt', 'refunded')),
    receipt_no text,
    paid_at timestamptz
);
CREATE INDEX dossier_fee_dossier ON dossier_fee (dossier_id);
COMMENT ON TABLE dossier_fee IS 'Fees and charges in đồng, by the fee version the dossier began with.';

GRANT SELECT ON dossier_counter, dossier, dossier_access, dossier_note, dossier_code, dossier_party, dossier_link, journal, task, dossier_pause,
    dossier_deadline, dossier_part, dossier_fee TO app, signer, worker;
GRANT INSERT, UPDATE ON dossier_counter, dossier TO app;
GRANT UPDATE ON dossier TO signer, worker;
GRANT INSERT, UPDATE ON dossier_access TO app;
GRANT INSERT ON dossier_note TO app, signer, worker;
GRANT UPDATE (text_sealed) ON dossier_note TO worker;
GRANT INSERT ON dossier_code, dossier_party, dossier_link, dossier_part TO app;
GRANT UPDATE (upload_id, given_back_at) ON dossier_part TO app, worker;
GRANT INSERT ON journal, dossier_deadline TO app, signer, worker;
GRANT INSERT, UPDATE ON task, dossier_pause TO app, signer, worker;
GRANT INSERT, UPDATE ON dossier_fee TO app;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
