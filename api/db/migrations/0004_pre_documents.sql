-- migrate:up
-- Results, documents and their immutable revisions; blobs by SHA-256; uploads on their way in; number series.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE blob (
    sha256 bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    size bigint NOT NULL CHECK (size > 0),
    media_type text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    missing_since timestamptz
);
COMMENT ON TABLE blob IS 'A stored file; the row is committed only after the bytes are on disk. missing_since is set by the orphan sweeper.';

CREATE TABLE upload (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    sha256 bytea NOT NULL REFERENCES blob (sha256),
    profile text NOT NULL CHECK (profile IN ('handed_in', 'to_sign')),
    state text NOT NULL DEFAULT 'checking' CHECK (state IN ('checking', 'accepted', 'refused')),
    file_name_sealed bytea,
    dossier_id uuid REFERENCES dossier (id),
    account_id uuid REFERENCES account (id),
    accepted_sha256 bytea REFERENCES blob (sha256),
    report jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    checked_at timestamptz,
    CHECK ((state = 'accepted') <= (accepted_sha256 IS NOT NULL))
);
CREATE INDEX upload_dossier ON upload (dossier_id) WHERE dossier_id IS NOT NULL;
CREATE INDEX upload_checking ON upload (created_at) WHERE state = 'checking';
COMMENT ON TABLE upload IS 'A file on its way in: handed in (kept byte for byte) or to be signed (may be rewritten once, before its first signature).';

ALTER TABLE dossier_part ADD CONSTRAINT dossier_part_upload FOREIGN KEY (upload_id) REFERENCES upload (id);

CREATE TABLE result (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    dossier_id uuid NOT NULL REFERENCES dossier (id),
    ordinal smallint NOT NULL,
    form text NOT NULL CHECK (form IN ('a', 'b', 'c', 'd')),
    kind_code text NOT NULL,
    title text NOT NULL,
    state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'in_signing', 'signed', 'issued', 'blocked', 'dropped')),
    effect text NOT NULL DEFAULT 'none' CHECK (effect IN ('none', 'in_force', 'corrected', 'replaced', 'recalled', 'annulled')),
    refusal boolean NOT NULL DEFAULT false,
    verify_code text NOT NULL UNIQUE,
    foreign_reference text,
    issued_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    UNIQUE (dossier_id, ordinal),
    CHECK ((state = 'issued') <= (issued_at IS NOT NULL))
);
COMMENT ON TABLE result IS 'What a dossier ends in (kết quả): 1..n each; the form (a electronic, b paper then scan, c a ministry''s, d certified copy) comes from the procedure version.';

CREATE TABLE result_link (
    from_result_id uuid NOT NULL REFERENCES result (id),
    to_result_id uuid NOT NULL REFERENCES result (id),
    kind text NOT NULL CHECK (kind IN ('corrects', 'replaces', 'recalls', 'annuls')),
    at timestamptz NOT NULL,
    legal_basis text NOT NULL,
    by_account_id uuid NOT NULL REFERENCES account (id),
    PRIMARY KEY (from_result_id, to_result_id, kind)
);
CREATE INDEX result_link_to ON result_link (to_result_id);
CREATE TRIGGER result_link_append_only BEFORE UPDATE OR DELETE ON result_link FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE result_link IS 'Correction (đính chính), replacement, recall (thu hồi), annulment (hủy bỏ): links both ways, nothing is overwritten.';

CREATE TABLE result_effect (
    result_id uuid NOT NULL REFERENCES result (id),
    ordinal smallint NOT NULL,
    effect text NOT NULL CHECK (effect IN ('in_force', 'corrected', 'replaced', 'recalled', 'annulled')),
    at timestamptz NOT NULL,
    legal_basis text NOT NULL,
    by_account_id uuid REFERENCES account (id),
    PRIMARY KEY (result_id, ordinal)
);
CREATE TRIGGER result_effect_append_only BEFORE UPDATE OR DELETE ON result_effect FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE result_effect IS 'The history of a result''s effect, with date and basis.';

CREATE TABLE delivery (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    result_id uuid NOT NULL REFERENCES result (id),
    channel text NOT NULL CHECK (channel IN ('counter', 'online', 'post')),
    state text NOT NULL CHECK (state IN ('planned', 'sent', 'delivered', 'failed')),
    proof jsonb,
    by_account_id uuid REFERENCES account (id),
    planned_at timestamptz NOT NULL,
    delivered_at timestamptz,
    CHECK ((state = 'delivered') <= (proof IS NOT NULL AND delivered_at IS NOT NULL))
);
CREATE UNIQUE INDEX delivery_once ON delivery (result_id, channel) WHERE state <> 'failed';
COMMENT ON TABLE delivery IS 'Handing over (trả kết quả) per result and channel, each with the proof its channel asks for.';

CREATE TABLE document (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    result_id uuid NOT NULL REFERENCES result (id),
    dossier_id uuid NOT NULL REFERENCES dossier (id),
    kind text NOT NULL CHECK (kind IN ('main', 'annex', 'copy', 'digitised', 'counter_form')),
    act text NOT NULL CHECK (act IN ('main_document', 'separate_annex', 'copy', 'digitised_paper', 'counter_form')),
    title text NOT NULL,
    ordinal smallint NOT NULL,
    head_revision_id uuid,
    head_sha256 bytea REFERENCES blob (sha256),
    main_document_id uuid REFERENCES document (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    UNIQUE (result_id, ordinal),
    CHECK ((kind = 'annex') <= (main_document_id IS NOT NULL))
);
CREATE INDEX document_dossier ON document (dossier_id);
COMMENT ON TABLE document IS 'A document of a result (main, separate annex, copy); its head names the current revision, moved only by conditional updates.';

CREATE TABLE revision (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    document_id uuid NOT NULL REFERENCES document (id),
    ordinal integer NOT NULL CHECK (ordinal > 0),
    sha256 bytea NOT NULL REFERENCES blob (sha256),
    base_sha256 bytea REFERENCES blob (sha256),
    origin text NOT NULL CHECK (origin IN ('rendered', 'uploaded', 'laid', 'signed', 'sealed')),
    reason text NOT NULL,
    author_account_id uuid REFERENCES account (id),
    request_id uuid,
    places jsonb,
    verdict jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (document_id, ordinal)
);
ALTER TABLE document ADD CONSTRAINT document_head FOREIGN KEY (head_revision_id) REFERENCES revision (id) DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX revision_sha256 ON revision (sha256);
CREATE TRIGGER revision_append_only BEFORE UPDATE OR DELETE ON revision FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE revision IS 'Immutable states of a document; places holds where number, date and signatures stand.';

CREATE TABLE revision_withdrawal (
    revision_id uuid PRIMARY KEY REFERENCES revision (id),
    reason text NOT NULL,
    at timestamptz NOT NULL,
    by_account_id uuid REFERENCES account (id)
);
CREATE TRIGGER revision_withdrawal_append_only BEFORE UPDATE OR DELETE ON revision_withdrawal FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE revision_withdrawal IS 'A revision that is superseded: kept as evidence, never released.';

CREATE TABLE rendition (
    revision_id uuid NOT NULL REFERENCES revision (id),
    sha256 bytea NOT NULL REFERENCES blob (sha256),
    level text NOT NULL CHECK (level IN ('B-B', 'B-T', 'B-LT', 'B-LTA')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (revision_id, sha256)
);
COMMENT ON TABLE rendition IS 'Each raised level of a sealed revision is a new blob; earlier ones stay.';

CREATE TABLE draft_order (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    document_id uuid NOT NULL REFERENCES document (id),
    base_sha256 bytea REFERENCES blob (sha256),
    template text,
    data_sealed bytea,
    upload_id uuid REFERENCES upload (id),
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'failed')),
    revision_id uuid REFERENCES revision (id),
    error jsonb,
    ordered_by_account_id uuid REFERENCES account (id),
    ordered_at timestamptz NOT NULL,
    done_at timestamptz,
    CHECK ((template IS NULL) = (data_sealed IS NULL)),
    CHECK ((template IS NULL) <> (upload_id IS NULL)),
    CHECK ((state = 'done') = (revision_id IS NOT NULL)),
    CHECK ((state = 'queued') = (done_at IS NULL))
);
CREATE INDEX draft_order_document ON draft_order (document_id);
COMMENT ON TABLE draft_order IS 'A draft wanted: rendered from a template (its data is personal, hence sealed) or made of an accepted upload. Only the worker writes drafts.';

CREATE TABLE file_check (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    sha256 bytea NOT NULL REFERENCES blob (sha256),
    state text NOT NULL DEFAULT 'checking' CHECK (state IN ('checking', 'done')),
    report jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz,
    CHECK ((state = 'done') = (report IS NOT NULL AND done_at IS NOT NULL))
);
CREATE INDEX file_check_age ON file_check (created_at);
COMMENT ON TABLE file_check IS 'A file that somebody outside asks us to verify; kept for a day.';

CREATE TABLE print_order (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    template text NOT NULL,
    data_sealed bytea NOT NULL,
    agency_id uuid NOT NULL REFERENCES agency (id),
    account_id uuid NOT NULL REFERENCES account (id),
    state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'failed')),
    sha256 bytea REFERENCES blob (sha256),
    error jsonb,
    ordered_at timestamptz NOT NULL,
    done_at timestamptz,
    CHECK ((state = 'done') = (sha256 IS NOT NULL)),
    CHECK ((state = 'queued') = (done_at IS NULL))
);
CREATE INDEX print_order_age ON print_order (ordered_at);
COMMENT ON TABLE print_order IS 'A national form to be printed at a desk (giấy tiếp nhận, phiếu yêu cầu bổ sung, ...); kept for a day.';

CREATE TABLE number_series (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    agency_id uuid NOT NULL REFERENCES agency (id),
    kind_code text NOT NULL,
    book text NOT NULL DEFAULT '',
    pattern text NOT NULL,
    owner text NOT NULL CHECK (owner IN ('own', 'foreign')),
    foreign_system text,
    yearly boolean NOT NULL DEFAULT true,
    legal_basis text NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    UNIQUE (agency_id, kind_code, book, valid_from),
    CHECK ((owner = 'foreign') = (foreign_system IS NOT NULL))
);
COMMENT ON TABLE number_series IS 'Number series (dãy số) by agency, kind of document or book, and date; a foreign register is asked, never invented.';

CREATE TABLE number_counter (
    series_id uuid NOT NULL REFERENCES number_series (id),
    year integer NOT NULL,
    n integer NOT NULL,
    PRIMARY KEY (series_id, year)
);
COMMENT ON TABLE number_counter IS 'The last number per series and year (0 where the series does not restart); taken last, just before commit.';

CREATE TABLE number (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    series_id uuid NOT NULL REFERENCES number_series (id),
    year integer NOT NULL,
    n integer NOT NULL,
    text text NOT NULL,
    day date NOT NULL,
    state text NOT NULL CHECK (state IN ('reserved', 'used', 'void')),
    document_id uuid NOT NULL REFERENCES document (id),
    request_id uuid,
    reason text,
    reserved_at timestamptz NOT NULL,
    settled_at timestamptz,
    UNIQUE (series_id, year, n),
    CHECK ((state = 'void') = (reason IS NOT NULL)),
    CHECK ((state = 'reserved') = (settled_at IS NULL))
);
CREATE UNIQUE INDEX number_of_document ON number (document_id) WHERE state <> 'void';
CREATE INDEX number_book ON number (series_id, year, n);
COMMENT ON TABLE number IS 'A number (số) is reserved, used, or void with a reason; never reused or lost. day is the day it was given.';

GRANT SELECT ON blob, upload, result, result_link, result_effect, delivery, document, revision, revision_withdrawal,
    rendition, number_series, number_counter, number TO app, signer, worker;
GRANT INSERT ON blob TO app, signer, worker;
GRANT UPDATE (missing_since) ON blob TO worker;
GRANT DELETE ON blob TO worker;
GRANT INSERT ON upload TO app;
GRANT UPDATE (state, accepted_sha256, report, checked_at) ON upload TO worker;
GRANT INSERT ON result, result_link, result_effect, document, delivery, draft_order TO app;
GRANT INSERT ON result_effect, result_link TO signer;
GRANT UPDATE (state, effect, foreign_reference, issued_at, version, title) ON result TO app, signer;
GRANT UPDATE (head_revision_id, head_sha256, version) ON document TO signer, worker;
GRANT UPDATE (version) ON document TO app;
GRANT INSERT ON revision TO signer, worker;
GRANT INSERT ON revision_withdrawal TO app, signer;
GRANT INSERT ON rendition TO signer;
GRANT SELECT ON draft_order, file_check TO app, worker;
GRANT UPDATE (state, revision_id, error, done_at) ON draft_order TO worker;
GRANT INSERT ON file_check TO app;
GRANT SELECT ON print_order TO app, worker;
GRANT INSERT ON print_order TO app;
GRANT UPDATE (state, sha256, error, done_at), DELETE ON print_order TO worker;
GRANT UPDATE (state, report, done_at), DELETE ON file_check TO worker;
GRANT INSERT, UPDATE ON delivery TO app;
GRANT INSERT ON number_series TO app;
GRANT INSERT, UPDATE ON number_counter TO app, signer;
GRANT INSERT ON number TO app, signer;
GRANT UPDATE (state, reason, settled_at, request_id) ON number TO app, signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
