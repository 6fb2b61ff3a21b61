-- migrate:up
-- Registry: agencies with their history, persons, accounts, posts, authority to sign, certificates, procedures,
-- competence, calendar and dated legal rules. Everything a decision rests on has a legal basis and a validity.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE territory (
    code text PRIMARY KEY,
    name text NOT NULL,
    level text NOT NULL CHECK (level IN ('province', 'district', 'commune')),
    parent_code text REFERENCES territory (code),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from)
);
COMMENT ON TABLE territory IS 'Administrative territories (đơn vị hành chính) by national code, with the dates between which each exists.';

CREATE TABLE agency (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    code text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('province', 'office', 'centre', 'department', 'commune', 'commune_centre', 'sector_counter')),
    name text NOT NULL,
    sort_key text COLLATE "C" NOT NULL,
    parent_id uuid REFERENCES agency (id),
    territory_code text REFERENCES territory (code),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    UNIQUE (code, valid_from)
);
COMMENT ON TABLE agency IS 'Agencies (cơ quan) with effective dates; an agency that ended keeps its row, its name and its papers.';

CREATE TABLE agency_name (
    agency_id uuid NOT NULL REFERENCES agency (id),
    name text NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    legal_basis text NOT NULL,
    PRIMARY KEY (agency_id, valid_from)
);
COMMENT ON TABLE agency_name IS 'The names an agency bore; documents and journal lines keep the one of their time.';

CREATE TABLE agency_code (
    agency_id uuid NOT NULL REFERENCES agency (id),
    scheme text NOT NULL CHECK (scheme IN ('decision-20-2020', 'qcvn-102-2016', 'predecessor')),
    code text NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    PRIMARY KEY (scheme, code, valid_from)
);
COMMENT ON TABLE agency_code IS 'Codes of an agency under each scheme in use (Decision 20/2020, QCVN 102:2016); both forms are accepted.';

CREATE TABLE agency_site (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    agency_id uuid NOT NULL REFERENCES agency (id),
    name text NOT NULL,
    address text NOT NULL
);
COMMENT ON TABLE agency_site IS 'Places at which an agency works; one agency may have several.';

CREATE TABLE agency_succession (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    predecessor_id uuid NOT NULL REFERENCES agency (id),
    successor_id uuid NOT NULL REFERENCES agency (id),
    kind text NOT NULL CHECK (kind IN ('merged', 'split', 'competence_moved')),
    procedure_code text,
    effective_at timestamptz NOT NULL,
    legal_basis text NOT NULL,
    CHECK (predecessor_id <> successor_id),
    CHECK ((kind = 'competence_moved') = (procedure_code IS NOT NULL))
);
CREATE INDEX agency_succession_predecessor ON agency_succession (predecessor_id, effective_at);
CREATE INDEX agency_succession_successor ON agency_succession (successor_id, effective_at);
COMMENT ON TABLE agency_succession IS 'Who took over from whom, many to many, at which instant; a moved competence names its procedure.';

CREATE TABLE person (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CHECK (kind IN ('official', 'citizen', 'organisation')),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE person IS 'A person without any personal datum: those stand encrypted in person_private.';

CREATE TABLE person_private (
    person_id uuid PRIMARY KEY REFERENCES person (id),
    key_id text NOT NULL,
    name_sealed bytea NOT NULL,
    name_fingerprint bytea NOT NULL,
    id_number_sealed bytea,
    id_number_fingerprint bytea,
    contact_sealed bytea,
    phone_fingerprint bytea,
    details_sealed bytea
);
CREATE INDEX person_private_name ON person_private (name_fingerprint);
CREATE INDEX person_private_id_number ON person_private (id_number_fingerprint) WHERE id_number_fingerprint IS NOT NULL;
CREATE INDEX person_private_phone ON person_private (phone_fingerprint) WHERE phone_fingerprint IS NOT NULL;
COMMENT ON TABLE person_private IS 'Personal data (Law 91/2025/QH15), sealed under a named key; fingerprints are keyed hashes for exact search.';

CREATE TABLE official (
    person_id uuid PRIMARY KEY REFERENCES person (id),
    display_name text NOT NULL,
    sort_key text COLLATE "C" NOT NULL
);
COMMENT ON TABLE official IS 'The name under which an official acts in public office: printed on results, hence not sealed.';

CREATE TABLE post (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    agency_id uuid NOT NULL REFERENCES agency (id),
    unit text,
    title text NOT NULL,
    rank text NOT NULL CHECK (rank IN ('head', 'deputy', 'division_head', 'officer', 'clerk', 'administrator')),
    roles text[] NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from)
);
CREATE INDEX post_agency ON post (agency_id);
COMMENT ON TABLE post IS 'Posts (chức danh) at an agency with the roles they give there.';

CREATE TABLE post_holding (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    person_id uuid NOT NULL REFERENCES person (id),
    post_id uuid NOT NULL REFERENCES post (id),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    legal_basis text NOT NULL
);
CREATE INDEX post_holding_person ON post_holding (person_id);
CREATE INDEX post_holding_post ON post_holding (post_id);
COMMENT ON TABLE post_holding IS 'Who holds which post from when to when; one person may hold several at once.';

CREATE TABLE account (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    person_id uuid NOT NULL REFERENCES person (id),
    agency_id uuid NOT NULL REFERENCES agency (id),
    login text NOT NULL UNIQUE CHECK (login = lower(login)),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'locked', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX account_person ON account (person_id);
COMMENT ON TABLE account IS 'Log-ins of officials; agency_id is the one whose local administrator looks after it.';

CREATE TABLE account_password (
    account_id uuid PRIMARY KEY REFERENCES account (id),
    argon2 text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE account_password IS 'Password hashes (argon2id).';

CREATE TABLE second_factor (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    account_id uuid NOT NULL REFERENCES account (id),
    kind text NOT NULL CHECK (kind IN ('totp', 'passkey')),
    key_id text NOT NULL,
    secret_sealed bytea NOT NULL,
    last_counter bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    last_failure_at timestamptz,
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE UNIQUE INDEX second_factor_totp ON second_factor (account_id) WHERE kind = 'totp' AND revoked_at IS NULL;
COMMENT ON TABLE second_factor IS 'Secrets of second factors with the signer''s own guess counter: only the role signer reads or writes them.';

CREATE TABLE mandate (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind text NOT NULL CHECK (kind IN ('standing', 'assignment', 'by_order', 'mandate')),
    capacity text NOT NULL CHECK (capacity IN ('plain', 'KT.', 'TL.', 'TUQ.', 'TM.', 'Q.')),
    person_id uuid NOT NULL REFERENCES person (id),
    post_id uuid NOT NULL REFERENCES post (id),
    agency_id uuid NOT NULL REFERENCES agency (id),
    given_by_post_id uuid REFERENCES post (id),
    acts text[] NOT NULL,
    procedure_codes text[],
    title_lines text[] NOT NULL,
    legal_basis text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to > valid_from),
    revoked_at timestamptz,
    CHECK (kind <> 'mandate' OR valid_to IS NOT NULL)
);
CREATE INDEX mandate_person ON mandate (person_id, agency_id);
COMMENT ON TABLE mandate IS 'Authority to sign: the head''s own, assignment (phân công, KT.), by order (thừa lệnh, TL.), mandate (ủy quyền, TUQ., limited in time and content). NULL procedure_codes means all.';

CREATE TABLE key_holder (
    name text PRIMARY KEY,
    kind text NOT NULL,
    hashes_per_authorisation integer NOT NULL CHECK (hashes_per_authorisation > 0),
    window_s integer NOT NULL CHECK (window_s > 0),
    parallel_limit integer NOT NULL CHECK (parallel_limit > 0),
    shows_document_names boolean NOT NULL,
    certificate_class text NOT NULL CHECK (certificate_class IN ('demo', 'public', 'public_duty')),
    asks_person boolean NOT NULL,
    development boolean NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE key_holder IS 'What each key holder declares of itself; the signer writes it, the API cuts batches by it.';

CREATE TABLE certificate (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    person_id uuid REFERENCES person (id),
    agency_id uuid REFERENCES agency (id),
    named_agency_id uuid REFERENCES agency (id),
    serial text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    certificate bytea NOT NULL,
    chain bytea[] NOT NULL,
    class text NOT NULL CHECK (class IN ('demo', 'public', 'public_duty')),
    mechanism text NOT NULL CHECK (mechanism IN ('rsa_pkcs1v15', 'rsa_pss', 'ecdsa')),
    holder text NOT NULL,
    credential_id text NOT NULL,
    owner_sealed bytea NOT NULL,
    image_png bytea,
    not_before timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    revoked_at timestamptz,
    bound_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, serial),
    CHECK ((person_id IS NULL) <> (agency_id IS NULL))
);
CREATE INDEX certificate_person ON certificate (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX certificate_agency ON certificate (agency_id) WHERE agency_id IS NOT NULL;
COMMENT ON TABLE certificate IS 'Certificates (chứng thư chữ ký số) of persons or of organisations; named_agency_id is the agency the subject still names, owner_sealed what the key holder knows the owner by (a national id).';

CREATE TABLE procedure (
    code text PRIMARY KEY,
    name text NOT NULL,
    sort_key text COLLATE "C" NOT NULL,
    field_code text NOT NULL,
    field_name text NOT NULL,
    code_checked boolean NOT NULL
);
COMMENT ON TABLE procedure IS 'Administrative procedures (thủ tục hành chính) by national code.';

CREATE TABLE procedure_version (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    code text NOT NULL REFERENCES procedure (code),
    version integer NOT NULL CHECK (version > 0),
    definition jsonb NOT NULL,
    form_of_result text NOT NULL CHECK (form_of_result IN ('a', 'b', 'c', 'd')),
    owning_system text NOT NULL CHECK (owning_system IN ('province', 'ministry')),
    legal_basis text NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    published_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (code, version)
);
COMMENT ON TABLE procedure_version IS 'A procedure as data: steps, roles, durations, parts, fees, chain of signatures; a dossier keeps the version it began with.';

CREATE TABLE competence (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    procedure_code text NOT NULL REFERENCES procedure (code),
    procedure_version_id uuid REFERENCES procedure_version (id),
    territory_code text NOT NULL REFERENCES territory (code),
    agency_id uuid NOT NULL REFERENCES agency (id),
    legal_basis text NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from)
);
CREATE INDEX competence_lookup ON competence (procedure_code, territory_code, valid_from);
COMMENT ON TABLE competence IS 'Which agency decides which procedure (or only one version of it) in which territory, between which dates.';

CREATE TABLE legal_rule (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    key text NOT NULL,
    value jsonb NOT NULL,
    legal_basis text NOT NULL,
    checked boolean NOT NULL,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    UNIQUE (key, valid_from)
);
COMMENT ON TABLE legal_rule IS 'Every rule of law the system applies, as a dated row with its basis; `checked` is false where the text was not read.';

CREATE TABLE calendar_version (
    version integer PRIMARY KEY,
    note text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE calendar_version IS 'Editions of the working calendar (lịch làm việc); a term is counted with the edition that held when it was given.';
CREATE TABLE calendar_day (
    version integer NOT NULL REFERENCES calendar_version (version),
    day date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('holiday', 'swapped_off', 'swapped_work')),
    name text NOT NULL,
    legal_ref text NOT NULL,
    PRIMARY KEY (version, day)
);
COMMENT ON TABLE calendar_day IS 'Days that differ from the plain week; versioned, because a due date once given must not move.';

CREATE TABLE registry_version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL DEFAULT 1
);
INSERT INTO registry_version DEFAULT VALUES;
COMMENT ON TABLE registry_version IS 'Counts changes of the registry; processes re-read it every 2 s in case a NOTIFY was lost.';

CREATE FUNCTION registry_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    UPDATE public.registry_version SET version = version + 1;
    PERFORM pg_notify('registry', '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION registry_changed() IS 'Registry writers are rare, so this NOTIFY serialises nobody who is in a hurry.';

CREATE TRIGGER agency_changed AFTER INSERT OR UPDATE OR DELETE ON agency FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER procedure_version_changed AFTER INSERT OR UPDATE OR DELETE ON procedure_version FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER competence_changed AFTER INSERT OR UPDATE OR DELETE ON competence FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER legal_rule_changed AFTER INSERT OR UPDATE OR DELETE ON legal_rule FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER calendar_changed AFTER INSERT OR UPDATE OR DELETE ON calendar_version FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER key_holder_changed AFTER INSERT OR UPDATE OR DELETE ON key_holder FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();

-- A fact once written stays: whoever tries to change it is told so, whatever grants say.
CREATE FUNCTION append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION append_only() IS 'Refuses UPDATE and DELETE on tables of facts.';

GRANT USAGE ON SCHEMA public TO app, signer, worker;
GRANT SELECT ON territory, agency, agency_name, agency_code, agency_site, agency_succession, person, person_private, official,
    post, post_holding, account, mandate, key_holder, certificate, procedure, procedure_version, competence, legal_rule,
    calendar_version, calendar_day, registry_version TO app, signer, worker;
GRANT SELECT ON account_password TO app;
GRANT UPDATE (argon2, changed_at) ON account_password TO app;
GRANT INSERT ON person, person_private TO app, worker;
GRANT UPDATE ON person_private TO app;
GRANT INSERT ON procedure, procedure_version, competence, legal_rule, calendar_version, calendar_day TO app;
GRANT UPDATE (valid_to) ON procedure_version, competence, legal_rule TO app;
GRANT SELECT, UPDATE (last_counter, failures, last_failure_at, revoked_at) ON second_factor TO signer;
GRANT SELECT, INSERT, UPDATE ON key_holder TO signer;
GRANT INSERT, UPDATE ON certificate, mandate TO signer;
GRANT INSERT ON second_factor TO signer;
GRANT UPDATE (state) ON account TO signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
