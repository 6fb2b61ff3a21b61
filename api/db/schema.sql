-- The schema that the migrations add up to. Written by `motcua migrate --dump`; never edited by hand.

CREATE TYPE public.pgqueuer_status AS ENUM (
    'queued',
    'picked',
    'successful',
    'exception',
    'canceled',
    'deleted',
    'failed'
);

CREATE FUNCTION public.annex_after_main() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public'
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.document annex
                     JOIN public.chain main ON main.document_id = annex.main_document_id AND main.state = 'done'
                    WHERE annex.id = NEW.document_id) THEN
        RAISE EXCEPTION 'signature_request: the main document is not sealed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

COMMENT ON FUNCTION public.annex_after_main() IS 'No separate annex is recorded before its main document is sealed.';

CREATE TABLE public.batch_item (
    batch_id uuid NOT NULL,
    ordinal integer NOT NULL,
    request_id uuid NOT NULL,
    shown_sha256 bytea NOT NULL,
    number_id uuid,
    outcome text,
    detail jsonb,
    ended_at timestamp with time zone,
    CONSTRAINT batch_item_check CHECK (((outcome IS NULL) = (ended_at IS NULL))),
    CONSTRAINT batch_item_outcome_check CHECK ((outcome = ANY (ARRAY['recorded'::text, 'refused'::text, 'expired'::text, 'failed'::text, 'superseded'::text]))),
    CONSTRAINT batch_item_shown_sha256_check CHECK ((octet_length(shown_sha256) = 32))
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.batch_item IS 'The items of a ticket with exactly the digests shown; each ends in one terminal outcome.';

CREATE TABLE public.document (
    id uuid DEFAULT uuidv7() NOT NULL,
    result_id uuid NOT NULL,
    dossier_id uuid NOT NULL,
    kind text NOT NULL,
    act text NOT NULL,
    title text NOT NULL,
    ordinal smallint NOT NULL,
    head_revision_id uuid,
    head_sha256 bytea,
    main_document_id uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    copy_form text,
    CONSTRAINT document_act_check CHECK ((act = ANY (ARRAY['main_document'::text, 'separate_annex'::text, 'copy'::text, 'digitised_paper'::text, 'counter_form'::text]))),
    CONSTRAINT document_check CHECK (((kind = 'annex'::text) <= (main_document_id IS NOT NULL))),
    CONSTRAINT document_copy_form_check CHECK (((copy_form IS NULL) OR ((act = 'copy'::text) AND (copy_form = ANY (ARRAY['true_copy'::text, 'copy_of_copy'::text, 'extract'::text, 'certified_copy'::text]))))),
    CONSTRAINT document_kind_check CHECK ((kind = ANY (ARRAY['main'::text, 'annex'::text, 'copy'::text, 'digitised'::text, 'counter_form'::text])))
);

COMMENT ON TABLE public.document IS 'A document of a result (main, separate annex, copy); its head names the current revision, moved only by conditional updates.';

COMMENT ON COLUMN public.document.copy_form IS 'Of a copy: sao y, sao lục, trích sao (Decree 30/2020, Art. 25) or chứng thực bản sao (Decree 23/2015).';

CREATE TABLE public.number (
    id uuid DEFAULT uuidv7() NOT NULL,
    series_id uuid CONSTRAINT number_series_id_not_null1 NOT NULL,
    year integer NOT NULL,
    n integer NOT NULL,
    text text NOT NULL,
    day date NOT NULL,
    state text NOT NULL,
    document_id uuid NOT NULL,
    request_id uuid,
    reason text,
    reserved_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT number_check CHECK (((state = 'void'::text) = (reason IS NOT NULL))),
    CONSTRAINT number_check1 CHECK (((state = 'reserved'::text) = (settled_at IS NULL))),
    CONSTRAINT number_state_check CHECK ((state = ANY (ARRAY['reserved'::text, 'used'::text, 'void'::text])))
);

COMMENT ON TABLE public.number IS 'A number (số) is reserved, used, or void with a reason; never reused or lost. day is the day it was given.';

CREATE FUNCTION public.annex_number(of_document uuid, in_batch uuid) RETURNS uuid
    LANGUAGE sql STABLE
    RETURN (SELECT number.id FROM (public.document annex JOIN public.number ON ((number.document_id = annex.main_document_id))) WHERE ((annex.id = annex_number.of_document) AND ((number.state = 'used'::text) OR ((number.state = 'reserved'::text) AND (EXISTS (SELECT FROM public.batch_item beside WHERE ((beside.batch_id = annex_number.in_batch) AND (beside.number_id = number.id) AND (beside.outcome IS NULL))))))) LIMIT 1);

COMMENT ON FUNCTION public.annex_number(of_document uuid, in_batch uuid) IS 'The number that a separate annex refers to: of its main document once that is sealed, or while it is being sealed in the same ticket.';

CREATE TABLE public.chain (
    id uuid DEFAULT uuidv7() NOT NULL,
    document_id uuid NOT NULL,
    dossier_id uuid NOT NULL,
    result_id uuid NOT NULL,
    draft_revision_id uuid NOT NULL,
    state text DEFAULT 'laying'::text NOT NULL,
    plan jsonb,
    mark text,
    lane text DEFAULT 'normal'::text NOT NULL,
    submitted_by_account_id uuid NOT NULL,
    submitted_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    error jsonb,
    CONSTRAINT chain_lane_check CHECK ((lane = ANY (ARRAY['counter'::text, 'normal'::text]))),
    CONSTRAINT chain_state_check CHECK ((state = ANY (ARRAY['laying'::text, 'open'::text, 'done'::text, 'superseded'::text, 'failed'::text])))
);

COMMENT ON TABLE public.chain IS 'One submission for signature (trình ký) of one document; at most one is open per document.';

CREATE TABLE public.signature_request (
    id uuid DEFAULT uuidv7() NOT NULL,
    chain_id uuid NOT NULL,
    document_id uuid NOT NULL,
    dossier_id uuid NOT NULL,
    result_id uuid NOT NULL,
    group_no smallint NOT NULL,
    ordinal smallint NOT NULL,
    role text NOT NULL,
    pdf_signature boolean NOT NULL,
    act text NOT NULL,
    field text NOT NULL,
    state text DEFAULT 'to_sign'::text NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    turn integer DEFAULT 0 NOT NULL,
    person_id uuid,
    post_id uuid,
    agency_id uuid NOT NULL,
    capacity text,
    title_lines text[] DEFAULT '{}'::text[] NOT NULL,
    mandate_id uuid,
    holder text,
    certificate_id uuid,
    certificate_serial text,
    placement jsonb,
    due_at timestamp with time zone,
    lane text NOT NULL,
    predecessor_id uuid,
    batch_id uuid,
    shown_sha256 bytea,
    transaction_id text,
    number_id uuid,
    reason text,
    error jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    state_at timestamp with time zone DEFAULT now() NOT NULL,
    deadline_at timestamp with time zone,
    recorded_at timestamp with time zone,
    recorded_sha256 bytea,
    ready boolean,
    CONSTRAINT signature_request_act_check CHECK ((act = ANY (ARRAY['main_document'::text, 'separate_annex'::text, 'copy'::text, 'digitised_paper'::text, 'counter_form'::text]))),
    CONSTRAINT signature_request_capacity_check CHECK ((capacity = ANY (ARRAY['plain'::text, 'KT.'::text, 'TL.'::text, 'TUQ.'::text, 'TM.'::text, 'Q.'::text]))),
    CONSTRAINT signature_request_check CHECK (((state = ANY (ARRAY['to_sign'::text, 'superseded'::text, 'refused'::text])) OR (batch_id IS NOT NULL))),
    CONSTRAINT signature_request_check1 CHECK (((state = 'recorded'::text) = (recorded_at IS NOT NULL))),
    CONSTRAINT signature_request_group_no_check CHECK ((group_no > 0)),
    CONSTRAINT signature_request_lane_check CHECK ((lane = ANY (ARRAY['counter'::text, 'normal'::text]))),
    CONSTRAINT signature_request_ordinal_check CHECK ((ordinal > 0)),
    CONSTRAINT signature_request_role_check CHECK ((role = ANY (ARRAY['initials'::text, 'coordinator'::text, 'signatory'::text, 'seal'::text]))),
    CONSTRAINT signature_request_state_check CHECK ((state = ANY (ARRAY['to_sign'::text, 'asked'::text, 'prepared'::text, 'sent'::text, 'value_received'::text, 'recorded'::text, 'refused'::text, 'expired'::text, 'failed'::text, 'superseded'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_analyze_scale_factor='0.01');

COMMENT ON TABLE public.signature_request IS 'One signature wanted on one document: who, in which post and capacity, with which key. The partial unique index lets one open job write a document.';

COMMENT ON COLUMN public.signature_request.ready IS 'Whether it waits for its person or clerk now: as signature_request_ready() tells, kept by triggers. NULL in rows of before version 0017 that nothing has touched since.';

CREATE FUNCTION public.annex_waits(of_chain uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (EXISTS (SELECT FROM (public.chain own JOIN public.document annex ON (((annex.id = own.document_id) AND (annex.main_document_id IS NOT NULL)))) WHERE ((own.id = annex_waits.of_chain) AND (NOT (EXISTS (SELECT FROM public.chain main WHERE ((main.document_id = annex.main_document_id) AND (main.state = ANY (ARRAY['open'::text, 'done'::text])) AND (NOT (EXISTS (SELECT FROM public.signature_request person WHERE ((person.chain_id = main.id) AND (person.role <> 'seal'::text) AND (person.state <> 'recorded'::text))))))))))));

COMMENT ON FUNCTION public.annex_waits(of_chain uuid) IS 'Whether somebody has yet to sign the main document of the annex whose chain this is.';

CREATE FUNCTION public.append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

COMMENT ON FUNCTION public.append_only() IS 'Refuses UPDATE and DELETE on tables of facts.';

CREATE FUNCTION public.fn_pgqueuer_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    to_emit BOOLEAN := false;  -- Flag to decide whether to emit a notification
BEGIN
    -- Check operation type and set the emit flag accordingly
    IF TG_OP = 'UPDATE' AND OLD IS DISTINCT FROM NEW THEN
        to_emit := true;
    ELSIF TG_OP = 'DELETE' THEN
        to_emit := true;
    ELSIF TG_OP = 'INSERT' THEN
        to_emit := true;
    ELSIF TG_OP = 'TRUNCATE' THEN
        to_emit := true;
    END IF;

    -- Perform notification if the emit flag is set
    IF to_emit THEN
        PERFORM pg_notify(
            'ch_pgqueuer',
            json_build_object(
                'channel', 'ch_pgqueuer',
                'operation', lower(TG_OP),
                'sent_at', NOW(),
                'table', TG_TABLE_NAME,
                'type', 'table_changed_event'
            )::text
        );
    END IF;

    -- Return appropriate value based on the operation
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    ELSE
        RETURN NULL; -- For TRUNCATE and other non-row-specific contexts
    END IF;

END;
$$;

CREATE TABLE public.timestamp_authority (
    name text NOT NULL,
    quota integer NOT NULL,
    window_s double precision NOT NULL,
    slots timestamp with time zone[] DEFAULT '{}'::timestamp with time zone[] NOT NULL,
    sent integer[] DEFAULT '{}'::integer[] NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    CONSTRAINT timestamp_authority_check CHECK ((cardinality(slots) = cardinality(sent))),
    CONSTRAINT timestamp_authority_quota_check CHECK ((quota >= 0)),
    CONSTRAINT timestamp_authority_window_s_check CHECK ((window_s > (0)::double precision))
);

COMMENT ON TABLE public.timestamp_authority IS 'What every signer together may ask of a timestamping authority: quota requests in window_s seconds, 0 without end; sent[i] of them went at slots[i], at the latest.';

CREATE FUNCTION public.timestamp_expected(wanted bigint) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH live AS (
          SELECT timestamp_authority.name,
             timestamp_authority.quota,
             make_interval(secs => timestamp_authority.window_s) AS span,
             timestamp_authority.slots,
             timestamp_authority.sent
            FROM public.timestamp_authority
           WHERE (timestamp_authority.seen_at > (now() - '00:05:00'::interval))
         ), used AS (
          SELECT live.name,
             live.span,
             (each.slot + live.span) AS at,
             each.n
            FROM (live
              CROSS JOIN LATERAL UNNEST(live.slots, live.sent) each(slot, n))
           WHERE ((live.quota > 0) AND ((each.slot + live.span) > now()))
         ), room AS (
          SELECT used.at,
             used.n
            FROM used
         UNION ALL
          SELECT now() AS now,
             (live.quota - COALESCE(( SELECT sum(used.n) AS sum
                    FROM used
                   WHERE (used.name = live.name)), (0)::bigint))
            FROM live
           WHERE (live.quota > 0)
         ), row_of AS (
          SELECT room.at,
             sum(room.n) OVER (ORDER BY room.at) AS upto
            FROM room
           WHERE (room.n > 0)
         ), round AS (
          SELECT max(row_of.upto) AS n,
             ( SELECT max(live.span) AS max
                    FROM live) AS span
            FROM row_of
         )
  SELECT
         CASE
             WHEN (EXISTS ( SELECT
                FROM live
               WHERE (live.quota = 0))) THEN now()
             ELSE ( SELECT (min(row_of.at) + ((div(((timestamp_expected.wanted - 1))::numeric, round.n))::double precision * round.span))
                FROM (row_of
                  CROSS JOIN round)
               WHERE (row_of.upto > mod(((timestamp_expected.wanted - 1))::numeric, round.n))
               GROUP BY round.n, round.span)
         END;
END;

COMMENT ON FUNCTION public.timestamp_expected(wanted bigint) IS 'When the n-th timestamp from now may be asked for, as the quotas allow; NULL where no signer has an authority.';

CREATE TABLE public.level_debt (
    revision_id uuid NOT NULL,
    document_id uuid NOT NULL,
    request_id uuid NOT NULL,
    wanted text NOT NULL,
    level text DEFAULT 'B-B'::text NOT NULL,
    sha256 bytea NOT NULL,
    signed_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    try_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    problem text,
    paid_at timestamp with time zone,
    authority text,
    renew_at timestamp with time zone,
    held_basis text,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT level_debt_check CHECK (((paid_at IS NULL) OR (level <> 'B-B'::text))),
    CONSTRAINT level_debt_level_check CHECK ((level = ANY (ARRAY['B-B'::text, 'B-T'::text, 'B-LT'::text, 'B-LTA'::text]))),
    CONSTRAINT level_debt_wanted_check CHECK ((wanted = ANY (ARRAY['B-T'::text, 'B-LT'::text, 'B-LTA'::text])))
);

COMMENT ON TABLE public.level_debt IS 'The level (mức chữ ký PAdES) that a sealed revision owes, or has reached; sha256 is its newest rendition, renew_at when an archived one owes another timestamp.';

COMMENT ON COLUMN public.level_debt.held_basis IS 'While the result waits for this level: the provision that demands it (chờ dấu thời gian); nobody is given the result before.';

COMMENT ON COLUMN public.level_debt.version IS 'Grows with every change, so that a ticket''s stream tells of it.';

CREATE FUNCTION public.level_expected(due timestamp with time zone, of_revision uuid, try_at timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 WITH before AS (
          SELECT count(*) AS n
            FROM public.level_debt debt
           WHERE ((debt.paid_at IS NULL) AND (ROW(debt.due_at, debt.revision_id) <= ROW(level_expected.due, level_expected.of_revision)))
         ), pace AS (
          SELECT count(*) AS n
            FROM public.level_debt debt
           WHERE (debt.paid_at > (now() - '00:01:00'::interval))
         ), quota AS (
          SELECT public.timestamp_expected((1)::bigint) AS first,
             public.timestamp_expected(before_1.n) AS own
            FROM before before_1
         )
  SELECT
         CASE
             WHEN ((quota.first > now()) OR (pace.n > 0) OR ((quota.first IS NOT NULL) AND (NOT (EXISTS ( SELECT
                FROM public.level_debt debt
               WHERE ((debt.paid_at IS NULL) AND (debt.attempts > 0))))))) THEN GREATEST(level_expected.try_at, quota.own, (now() + (((before.n)::double precision * '00:01:00'::interval) / (
             CASE
                 WHEN ((pace.n >= 1) AND (pace.n <= before.n)) THEN pace.n
                 ELSE (600)::bigint
             END)::double precision)))
             ELSE NULL::timestamp with time zone
         END AS "case"
    FROM ((before
      CROSS JOIN pace)
      CROSS JOIN quota);
END;

COMMENT ON FUNCTION public.level_expected(due timestamp with time zone, of_revision uuid, try_at timestamp with time zone) IS 'When a debt is expected to be paid: its turn, the quotas, the pace of the last minute; NULL in an outage, whose end nobody knows.';

CREATE FUNCTION public.registry_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    AS $$
BEGIN
    UPDATE public.registry_version SET version = version + 1;
    PERFORM pg_notify('registry', '');
    RETURN NULL;
END $$;

COMMENT ON FUNCTION public.registry_changed() IS 'Registry writers are rare, so this NOTIFY serialises nobody who is in a hurry.';

CREATE FUNCTION public.signature_request_guard() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public'
    AS $$
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
    IF NEW.state IN ('asked', 'prepared', 'sent', 'recorded') AND public.signature_request_waits(NEW.chain_id, NEW.group_no) THEN
        RAISE EXCEPTION 'signature_request: the group before is not recorded' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

COMMENT ON FUNCTION public.signature_request_guard() IS 'No seal before the signatures it requires, no state the API may not write: a rule in the service and a constraint here.';

CREATE FUNCTION public.signature_request_next_turns() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public'
    AS $$
DECLARE
    of_chain uuid;
    of_document uuid;
    after_group smallint := 0;
BEGIN
    IF TG_TABLE_NAME = 'chain' THEN
        of_chain := NEW.id;
        of_document := NEW.document_id;
    ELSIF TG_OP = 'DELETE' THEN
        of_chain := OLD.chain_id;
        of_document := OLD.document_id;
        after_group := OLD.group_no;
    ELSE
        of_chain := NEW.chain_id;
        of_document := NEW.document_id;
        after_group := NEW.group_no;
    END IF;
    PERFORM FROM public.signature_request later
      WHERE later.id = ANY ((SELECT public.signature_requests_after(of_chain, of_document, after_group))::uuid[]) AND later.state = 'to_sign'
      ORDER BY later.id
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE public.signature_request later
       SET ready = public.signature_request_ready(later.state, later.chain_id, later.group_no)
     WHERE later.id = ANY ((SELECT public.signature_requests_after(of_chain, of_document, after_group))::uuid[]) AND later.state = 'to_sign'
       AND later.ready IS DISTINCT FROM public.signature_request_ready(later.state, later.chain_id, later.group_no);
    RETURN NULL;
END $$;

COMMENT ON FUNCTION public.signature_request_next_turns() IS 'Has the requests that come after this one, in its chain and of its document''s annexes, told anew whether their turn has come.';

CREATE FUNCTION public.signature_request_waits(of_chain uuid, of_group smallint) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((EXISTS (SELECT FROM public.signature_request before WHERE ((before.chain_id = signature_request_waits.of_chain) AND (before.group_no < signature_request_waits.of_group) AND (before.state <> 'recorded'::text)))) OR public.annex_waits(of_chain));

COMMENT ON FUNCTION public.signature_request_waits(of_chain uuid, of_group smallint) IS 'Whether somebody of a group before, or of an annex''s main document, has not signed yet.';

CREATE FUNCTION public.signature_request_ready(in_state text, of_chain uuid, of_group smallint) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN ((in_state = 'to_sign'::text) AND (EXISTS (SELECT FROM public.chain WHERE ((chain.id = signature_request_ready.of_chain) AND (chain.state = 'open'::text)))) AND (NOT public.signature_request_waits(of_chain, of_group)));

COMMENT ON FUNCTION public.signature_request_ready(in_state text, of_chain uuid, of_group smallint) IS 'Whether a request waits to be signed, its chain is open, and its turn has come.';

CREATE FUNCTION public.signature_request_turn() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM public.chain WHERE chain.id = NEW.chain_id FOR SHARE;
    END IF;
    NEW.ready := public.signature_request_ready(NEW.state, NEW.chain_id, NEW.group_no);
    RETURN NEW;
END $$;

COMMENT ON FUNCTION public.signature_request_turn() IS 'Writes into a request whether its turn has come, whatever was to be written there.';

CREATE FUNCTION public.signature_requests_after(of_chain uuid, of_document uuid, after_group smallint) RETURNS uuid[]
    LANGUAGE sql STABLE
    RETURN ARRAY(SELECT later.id FROM public.signature_request later WHERE ((later.chain_id = signature_requests_after.of_chain) AND (later.group_no > signature_requests_after.after_group)) UNION ALL SELECT annexed.id FROM ((public.document annex JOIN public.chain own ON (((own.document_id = annex.id) AND (own.state = ANY (ARRAY['laying'::text, 'open'::text]))))) JOIN public.signature_request annexed ON ((annexed.chain_id = own.id))) WHERE (annex.main_document_id = signature_requests_after.of_document));

COMMENT ON FUNCTION public.signature_requests_after(of_chain uuid, of_document uuid, after_group smallint) IS 'The requests whose turn may come with this one: later ones of its chain, and those of its document''s annexes.';

CREATE FUNCTION public.take_intent(whose text, where_to text, by_key text, OUT mine boolean, OUT body_sha256 bytea, OUT status smallint, OUT answer json) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    mine := pg_try_advisory_xact_lock(hashtextextended(whose || E'\n' || where_to || E'\n' || by_key, 2));
    IF mine THEN
        SELECT kept.body_sha256, kept.status, kept.answer INTO body_sha256, status, answer
          FROM public.idempotency kept
         WHERE kept.actor = whose AND kept.route = where_to AND kept.key = by_key;
    END IF;
END $$;

COMMENT ON FUNCTION public.take_intent(whose text, where_to text, by_key text, OUT mine boolean, OUT body_sha256 bytea, OUT status smallint, OUT answer json) IS 'Holds an intent until the transaction ends, then looks for its answer: two statements, so that the second sees what a twin committed before the first got the lock.';

CREATE TABLE public.account (
    id uuid DEFAULT uuidv7() NOT NULL,
    person_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    login text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT account_login_check CHECK ((login = lower(login))),
    CONSTRAINT account_state_check CHECK ((state = ANY (ARRAY['active'::text, 'locked'::text, 'closed'::text])))
);

COMMENT ON TABLE public.account IS 'Log-ins of officials; agency_id is the one whose local administrator looks after it.';

CREATE TABLE public.account_block (
    id uuid DEFAULT uuidv7() NOT NULL,
    account_id uuid NOT NULL,
    what text NOT NULL,
    reason text NOT NULL,
    by_account_id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lifted_at timestamp with time zone,
    CONSTRAINT account_block_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 2000))),
    CONSTRAINT account_block_what_check CHECK ((what = ANY (ARRAY['account'::text, 'factors'::text])))
);

COMMENT ON TABLE public.account_block IS 'Blocking is easy: one row, which the API may insert and never take back. It stops an account, or every factor enrolled before it; only the signer lifts a block of an account.';

CREATE TABLE public.account_password (
    account_id uuid NOT NULL,
    argon2 text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    one_time_until timestamp with time zone
);

COMMENT ON TABLE public.account_password IS 'Password hashes (argon2id).';

COMMENT ON COLUMN public.account_password.one_time_until IS 'Set where an administrator gave the password: good for one log-in that changes it, until then.';

CREATE TABLE public.agency (
    id uuid DEFAULT uuidv7() NOT NULL,
    code text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    sort_key text NOT NULL COLLATE pg_catalog."C",
    parent_id uuid,
    territory_code text,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT agency_check CHECK ((valid_to > valid_from)),
    CONSTRAINT agency_kind_check CHECK ((kind = ANY (ARRAY['province'::text, 'office'::text, 'centre'::text, 'department'::text, 'commune'::text, 'commune_centre'::text, 'sector_counter'::text])))
);

COMMENT ON TABLE public.agency IS 'Agencies (cơ quan) with effective dates; an agency that ended keeps its row, its name and its papers.';

CREATE TABLE public.agency_code (
    agency_id uuid NOT NULL,
    scheme text NOT NULL,
    code text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT agency_code_check CHECK ((valid_to > valid_from)),
    CONSTRAINT agency_code_scheme_check CHECK ((scheme = ANY (ARRAY['decision-20-2020'::text, 'qcvn-102-2016'::text, 'predecessor'::text])))
);

COMMENT ON TABLE public.agency_code IS 'Codes of an agency under each scheme in use (Decision 20/2020, QCVN 102:2016); both forms are accepted.';

CREATE TABLE public.agency_name (
    agency_id uuid NOT NULL,
    name text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    legal_basis text NOT NULL,
    CONSTRAINT agency_name_check CHECK ((valid_to > valid_from))
);

COMMENT ON TABLE public.agency_name IS 'The names an agency bore; documents and journal lines keep the one of their time.';

CREATE TABLE public.agency_site (
    id uuid DEFAULT uuidv7() NOT NULL,
    agency_id uuid NOT NULL,
    name text NOT NULL,
    address text NOT NULL
);

COMMENT ON TABLE public.agency_site IS 'Places at which an agency works; one agency may have several.';

CREATE TABLE public.agency_succession (
    id uuid DEFAULT uuidv7() NOT NULL,
    predecessor_id uuid NOT NULL,
    successor_id uuid NOT NULL,
    kind text NOT NULL,
    procedure_code text,
    effective_at timestamp with time zone NOT NULL,
    legal_basis text NOT NULL,
    CONSTRAINT agency_succession_check CHECK ((predecessor_id <> successor_id)),
    CONSTRAINT agency_succession_check1 CHECK (((kind = 'competence_moved'::text) = (procedure_code IS NOT NULL))),
    CONSTRAINT agency_succession_kind_check CHECK ((kind = ANY (ARRAY['merged'::text, 'split'::text, 'competence_moved'::text])))
);

COMMENT ON TABLE public.agency_succession IS 'Who took over from whom, many to many, at which instant; a moved competence names its procedure.';

CREATE TABLE public.answer_verdict (
    answer_id uuid NOT NULL,
    verdict text NOT NULL,
    judged_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.answer_verdict IS 'The signer''s judgement of an answer.';

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
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
    digest bytea NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT audit_digest_check CHECK ((octet_length(digest) = 32))
);

COMMENT ON TABLE public.audit IS 'Who did what, in the transaction of the act: plain rows with their digest; chained later by one sealer over committed rows only.';

CREATE TABLE public.audit_chain (
    "position" bigint NOT NULL,
    audit_id bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_chain_hash_check CHECK ((octet_length(hash) = 32)),
    CONSTRAINT audit_chain_position_check CHECK (("position" > 0))
);

COMMENT ON TABLE public.audit_chain IS 'The order in which committed audit rows were chained: each hash covers the one before it and its row. No foreign key: a removed row must leave its link behind.';

CREATE TABLE public.audit_checkpoint (
    number bigint NOT NULL,
    body text NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT audit_checkpoint_number_check CHECK ((number > 0)),
    CONSTRAINT audit_checkpoint_signature_check CHECK ((octet_length(signature) = 64))
);

COMMENT ON TABLE public.audit_checkpoint IS 'How long the chain was at a moment and its hash, signed by a key that the database does not hold; a copy of each lies outside.';

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_key (
    ordinal bigint NOT NULL,
    id text NOT NULL,
    body text NOT NULL,
    signature bytea NOT NULL,
    CONSTRAINT audit_key_id_check CHECK ((id <> ''::text)),
    CONSTRAINT audit_key_signature_check CHECK ((octet_length(signature) = 64))
);

COMMENT ON TABLE public.audit_key IS 'The public halves of checkpoint keys; each but the first is signed by the key before it.';

ALTER TABLE public.audit_key ALTER COLUMN ordinal ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_key_ordinal_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.backfill (
    name text NOT NULL,
    after text DEFAULT ''::text NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone
);

COMMENT ON TABLE public.backfill IS 'How far a rewrite of old rows has come: moved in the transaction of each batch, so a run that dies goes on where it was. The owner''s alone.';

CREATE TABLE public.blob (
    sha256 bytea NOT NULL,
    size bigint NOT NULL,
    media_type text NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL,
    missing_since timestamp with time zone,
    CONSTRAINT blob_sha256_check CHECK ((octet_length(sha256) = 32)),
    CONSTRAINT blob_size_check CHECK ((size > 0))
);

COMMENT ON TABLE public.blob IS 'A stored file; the row is committed only after the bytes are on disk. missing_since is set by the orphan sweeper.';

CREATE TABLE public.calendar_day (
    version integer NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    legal_ref text NOT NULL,
    CONSTRAINT calendar_day_kind_check CHECK ((kind = ANY (ARRAY['holiday'::text, 'swapped_off'::text, 'swapped_work'::text])))
);

COMMENT ON TABLE public.calendar_day IS 'Days that differ from the plain week; versioned, because a due date once given must not move.';

CREATE TABLE public.calendar_version (
    version integer NOT NULL,
    note text NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.calendar_version IS 'Editions of the working calendar (lịch làm việc); a term is counted with the edition that held when it was given.';

CREATE TABLE public.certificate (
    id uuid DEFAULT uuidv7() NOT NULL,
    person_id uuid,
    agency_id uuid,
    named_agency_id uuid,
    serial text NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    certificate bytea NOT NULL,
    chain bytea[] NOT NULL,
    class text NOT NULL,
    mechanism text NOT NULL,
    holder text NOT NULL,
    credential_id text NOT NULL,
    owner_sealed bytea NOT NULL,
    image_png bytea,
    not_before timestamp with time zone NOT NULL,
    not_after timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    bound_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT certificate_check CHECK (((person_id IS NULL) <> (agency_id IS NULL))),
    CONSTRAINT certificate_class_check CHECK ((class = ANY (ARRAY['demo'::text, 'public'::text, 'public_duty'::text]))),
    CONSTRAINT certificate_mechanism_check CHECK ((mechanism = ANY (ARRAY['rsa_pkcs1v15'::text, 'rsa_pss'::text, 'ecdsa'::text])))
);

COMMENT ON TABLE public.certificate IS 'Certificates (chứng thư chữ ký số) of persons or of organisations; named_agency_id is the agency the subject still names, owner_sealed what the key holder knows the owner by (a national id).';

CREATE TABLE public.certificate_status (
    certificate_id uuid NOT NULL,
    state text NOT NULL,
    known_at timestamp with time zone,
    checked_at timestamp with time zone NOT NULL,
    problem text,
    CONSTRAINT certificate_status_state_check CHECK ((state = ANY (ARRAY['good'::text, 'revoked'::text, 'on_hold'::text, 'unknown'::text])))
);

COMMENT ON TABLE public.certificate_status IS 'What the authorities say of each certificate in use, when they were last asked, and why nothing newer is known.';

CREATE TABLE public.competence (
    id uuid DEFAULT uuidv7() NOT NULL,
    procedure_code text NOT NULL,
    procedure_version_id uuid,
    territory_code text NOT NULL,
    agency_id uuid NOT NULL,
    legal_basis text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT competence_check CHECK ((valid_to > valid_from))
);

COMMENT ON TABLE public.competence IS 'Which agency decides which procedure (or only one version of it) in which territory, between which dates.';

CREATE TABLE public.delivery (
    id uuid DEFAULT uuidv7() NOT NULL,
    result_id uuid NOT NULL,
    channel text NOT NULL,
    state text NOT NULL,
    proof jsonb,
    by_account_id uuid,
    planned_at timestamp with time zone NOT NULL,
    delivered_at timestamp with time zone,
    CONSTRAINT delivery_channel_check CHECK ((channel = ANY (ARRAY['counter'::text, 'online'::text, 'post'::text]))),
    CONSTRAINT delivery_check CHECK (((state = 'delivered'::text) <= ((proof IS NOT NULL) AND (delivered_at IS NOT NULL)))),
    CONSTRAINT delivery_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'sent'::text, 'delivered'::text, 'failed'::text])))
);

COMMENT ON TABLE public.delivery IS 'Handing over (trả kết quả) per result and channel, each with the proof its channel asks for.';

CREATE TABLE public.dossier (
    id uuid DEFAULT uuidv7() NOT NULL,
    code text NOT NULL,
    seq integer NOT NULL,
    procedure_code text NOT NULL,
    procedure_version_id uuid NOT NULL,
    calendar_version integer NOT NULL,
    form_version text NOT NULL,
    fee_version text NOT NULL,
    channel text NOT NULL,
    help_agency_id uuid,
    receipt_agency_id uuid NOT NULL,
    competent_agency_id uuid,
    step_agency_id uuid NOT NULL,
    step_unit text,
    transfer_agency_id uuid,
    transfer_unit text,
    owning_system text NOT NULL,
    territory_code text,
    status text NOT NULL,
    finance text NOT NULL,
    delivery text NOT NULL,
    sync text NOT NULL,
    step text NOT NULL,
    outcome text,
    results jsonb DEFAULT '{}'::jsonb NOT NULL,
    supplements jsonb DEFAULT '{}'::jsonb NOT NULL,
    open_opinions integer DEFAULT 0 NOT NULL,
    submitted_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone,
    due_original_at timestamp with time zone,
    due_at timestamp with time zone,
    step_due_original_at timestamp with time zone,
    step_due_at timestamp with time zone,
    paused_at timestamp with time zone,
    finished_at timestamp with time zone,
    reappointments integer DEFAULT 0 NOT NULL,
    urgent boolean DEFAULT false NOT NULL,
    part_signed uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    CONSTRAINT dossier_channel_check CHECK ((channel = ANY (ARRAY['counter'::text, 'online'::text, 'post'::text]))),
    CONSTRAINT dossier_check CHECK (((paused_at IS NOT NULL) = (status = ANY (ARRAY['supplement_asked'::text, 'duty_asked'::text])))),
    CONSTRAINT dossier_check1 CHECK (((received_at IS NOT NULL) OR (status = ANY (ARRAY['submitted'::text, 'supplement_at_intake'::text, 'intake_refused'::text, 'withdrawn'::text])))),
    CONSTRAINT dossier_check2 CHECK (((due_at IS NULL) = (due_original_at IS NULL))),
    CONSTRAINT dossier_delivery_check CHECK ((delivery = ANY (ARRAY['none'::text, 'waiting'::text, 'partly'::text, 'delivered'::text, 'undeliverable'::text]))),
    CONSTRAINT dossier_finance_check CHECK ((finance = ANY (ARRAY['none'::text, 'due'::text, 'paid'::text, 'refunded'::text, 'exempt'::text]))),
    CONSTRAINT dossier_open_opinions_check CHECK ((open_opinions >= 0)),
    CONSTRAINT dossier_outcome_check CHECK ((outcome = ANY (ARRAY['granted'::text, 'refused'::text]))),
    CONSTRAINT dossier_owning_system_check CHECK ((owning_system = ANY (ARRAY['province'::text, 'ministry'::text]))),
    CONSTRAINT dossier_status_check CHECK ((status = ANY (ARRAY['submitted'::text, 'supplement_at_intake'::text, 'intake_refused'::text, 'received'::text, 'appraising'::text, 'supplement_asked'::text, 'duty_asked'::text, 'drafting'::text, 'awaiting_signature'::text, 'awaiting_issue'::text, 'done'::text, 'delivered'::text, 'withdrawn'::text, 'stopped'::text]))),
    CONSTRAINT dossier_sync_check CHECK ((sync = ANY (ARRAY['pending'::text, 'synchronised'::text, 'failed'::text, 'not_applicable'::text])))
);

COMMENT ON TABLE public.dossier IS 'The present state of a dossier, rebuilt column for column from its journal; help, receipt, competence, step and owning system are five columns.';

COMMENT ON COLUMN public.dossier.results IS 'Id of each result with where it stands: to_sign, signed, issued, blocked, delivered, returned, replaced, recalled.';

COMMENT ON COLUMN public.dossier.supplements IS 'How many supplements each stage has asked for: the limit is bound to the stage, not to the dossier.';

COMMENT ON COLUMN public.dossier.part_signed IS 'Results still to be signed that bear a signature already, an initial or the first of several.';

CREATE TABLE public.dossier_access (
    dossier_id uuid NOT NULL,
    secret_sha256 bytea NOT NULL,
    given_at timestamp with time zone NOT NULL,
    CONSTRAINT dossier_access_secret_sha256_check CHECK ((octet_length(secret_sha256) = 32))
);

COMMENT ON TABLE public.dossier_access IS 'The hash of the secret a citizen was given once; a lost one is replaced, hence no part of the projection.';

CREATE TABLE public.dossier_code (
    issuer text NOT NULL,
    code text NOT NULL,
    dossier_id uuid NOT NULL
);

COMMENT ON TABLE public.dossier_code IS 'Codes others gave this dossier (the national portal, a predecessor''s system): unique per issuer.';

CREATE TABLE public.dossier_counter (
    agency_id uuid NOT NULL,
    day date NOT NULL,
    n integer NOT NULL
);

COMMENT ON TABLE public.dossier_counter IS 'The last sequence number per agency and Vietnamese day; taken last, just before commit: hence the deferred references to dossier below.';

CREATE TABLE public.dossier_deadline (
    dossier_id uuid NOT NULL,
    seq integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    reason text NOT NULL
);

COMMENT ON TABLE public.dossier_deadline IS 'Every due date that was ever given, in order, with why it changed.';

CREATE TABLE public.dossier_fee (
    id uuid DEFAULT uuidv7() NOT NULL,
    dossier_id uuid NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    amount_vnd bigint NOT NULL,
    state text NOT NULL,
    receipt_no text,
    paid_at timestamp with time zone,
    CONSTRAINT dossier_fee_amount_vnd_check CHECK ((amount_vnd >= 0)),
    CONSTRAINT dossier_fee_state_check CHECK ((state = ANY (ARRAY['due'::text, 'paid'::text, 'exempt'::text, 'refunded'::text])))
);

COMMENT ON TABLE public.dossier_fee IS 'Fees and charges in đồng, by the fee version the dossier began with.';

CREATE TABLE public.dossier_link (
    from_dossier_id uuid NOT NULL,
    to_dossier_id uuid NOT NULL,
    kind text NOT NULL,
    CONSTRAINT dossier_link_check CHECK ((from_dossier_id <> to_dossier_id)),
    CONSTRAINT dossier_link_kind_check CHECK ((kind = ANY (ARRAY['output_is_input'::text, 'filed_together'::text, 'replaces'::text])))
);

COMMENT ON TABLE public.dossier_link IS 'Linked procedures (liên thông): the output of one is the input of another.';

CREATE TABLE public.dossier_note (
    dossier_id uuid NOT NULL,
    seq integer NOT NULL,
    text_sealed bytea NOT NULL
);

COMMENT ON TABLE public.dossier_note IS 'What a person wrote in free words with a journal line (reasons, questions, opinions): it may name people, hence sealed.';

CREATE TABLE public.dossier_part (
    id uuid DEFAULT uuidv7() NOT NULL,
    dossier_id uuid NOT NULL,
    part_code text NOT NULL,
    name text NOT NULL,
    originals smallint DEFAULT 0 NOT NULL,
    certified_copies smallint DEFAULT 0 NOT NULL,
    plain_copies smallint DEFAULT 0 NOT NULL,
    upload_id uuid,
    origin text NOT NULL,
    given_back_at timestamp with time zone,
    CONSTRAINT dossier_part_origin_check CHECK ((origin = ANY (ARRAY['paper'::text, 'digitised'::text, 'electronic'::text, 'reused'::text, 'national_store'::text])))
);

COMMENT ON TABLE public.dossier_part IS 'Parts handed in (thành phần hồ sơ) with the numbers of originals, certified and plain copies that Form 01 prints.';

CREATE TABLE public.dossier_party (
    id uuid DEFAULT uuidv7() NOT NULL,
    dossier_id uuid NOT NULL,
    role text NOT NULL,
    ordinal smallint NOT NULL,
    person_id uuid NOT NULL,
    representation_basis text,
    CONSTRAINT dossier_party_role_check CHECK ((role = ANY (ARRAY['filer'::text, 'subject'::text, 'owner'::text])))
);

COMMENT ON TABLE public.dossier_party IS 'Who files, whom it concerns (two spouses are two rows), and on what basis somebody represents another.';

CREATE TABLE public.dossier_pause (
    dossier_id uuid NOT NULL,
    ordinal smallint NOT NULL,
    reason text NOT NULL,
    stage text NOT NULL,
    items jsonb NOT NULL,
    legal_basis text NOT NULL,
    from_at timestamp with time zone NOT NULL,
    to_at timestamp with time zone,
    CONSTRAINT dossier_pause_reason_check CHECK ((reason = ANY (ARRAY['supplement'::text, 'financial_duty'::text])))
);

COMMENT ON TABLE public.dossier_pause IS 'Each interval in which the clock stands, with its reason, stage and basis.';

CREATE TABLE public.draft_order (
    id uuid DEFAULT uuidv7() NOT NULL,
    document_id uuid NOT NULL,
    base_sha256 bytea,
    template text,
    data_sealed bytea,
    upload_id uuid,
    reason text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    revision_id uuid,
    error jsonb,
    ordered_by_account_id uuid,
    ordered_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone,
    CONSTRAINT draft_order_check1 CHECK (((template IS NULL) <> (upload_id IS NULL))),
    CONSTRAINT draft_order_check2 CHECK (((state = 'done'::text) = (revision_id IS NOT NULL))),
    CONSTRAINT draft_order_check3 CHECK (((state = 'queued'::text) = (done_at IS NULL))),
    CONSTRAINT draft_order_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT draft_order_template_check CHECK (((template IS NULL) OR (data_sealed IS NOT NULL)))
);

COMMENT ON TABLE public.draft_order IS 'A draft wanted: rendered from a template (its data is personal, hence sealed) or made of an accepted upload. Only the worker writes drafts.';

CREATE TABLE public.enrolment (
    id uuid DEFAULT uuidv7() NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT enrolment_kind_check CHECK ((kind = ANY (ARRAY['totp'::text, 'passkey'::text])))
);

COMMENT ON TABLE public.enrolment IS 'A second factor that somebody wants to have; its id is bound into what the browser signs or opens.';

CREATE TABLE public.enrolment_material (
    enrolment_id uuid NOT NULL,
    public_part bytea NOT NULL,
    client_data bytea,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT enrolment_material_client_data_check CHECK ((octet_length(client_data) <= 4096)),
    CONSTRAINT enrolment_material_public_part_check CHECK (((octet_length(public_part) >= 32) AND (octet_length(public_part) <= 8192)))
);

COMMENT ON TABLE public.enrolment_material IS 'What the person''s browser made: a one-time public key for a TOTP secret, or a passkey''s attestation. Two persons approve its hash, told by word of mouth.';

CREATE TABLE public.enrolment_offer (
    enrolment_id uuid NOT NULL,
    proposal_id uuid NOT NULL,
    secret_sealed bytea,
    handed bytea,
    credential_id bytea,
    public_key bytea,
    sign_count bigint,
    tries integer DEFAULT 0 NOT NULL,
    made_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    outcome text,
    ended_at timestamp with time zone,
    CONSTRAINT enrolment_offer_check CHECK (((outcome IS NULL) = (ended_at IS NULL))),
    CONSTRAINT enrolment_offer_check1 CHECK (((secret_sealed IS NULL) <> (credential_id IS NULL))),
    CONSTRAINT enrolment_offer_outcome_check CHECK ((outcome = ANY (ARRAY['enrolled'::text, 'failed'::text, 'expired'::text])))
);

COMMENT ON TABLE public.enrolment_offer IS 'What the signer made of an approved enrolment: it counts only after a first valid answer. handed is the TOTP secret sealed to the browser''s key.';

CREATE TABLE public.factor_answer (
    id uuid DEFAULT uuidv7() NOT NULL,
    purpose text NOT NULL,
    proposal_id uuid,
    enrolment_id uuid,
    account_id uuid NOT NULL,
    post_id uuid NOT NULL,
    kind text NOT NULL,
    response bytea NOT NULL,
    digest bytea NOT NULL,
    offered_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT factor_answer_check CHECK (((purpose = 'confirm'::text) = (enrolment_id IS NOT NULL))),
    CONSTRAINT factor_answer_check1 CHECK (((proposal_id IS NULL) <> (enrolment_id IS NULL))),
    CONSTRAINT factor_answer_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT factor_answer_kind_check CHECK ((kind = ANY (ARRAY['totp'::text, 'passkey'::text, 'none'::text]))),
    CONSTRAINT factor_answer_purpose_check CHECK ((purpose = ANY (ARRAY['propose'::text, 'approve'::text, 'refuse'::text, 'confirm'::text]))),
    CONSTRAINT factor_answer_response_check CHECK ((octet_length(response) <= 16384))
);

COMMENT ON TABLE public.factor_answer IS 'What a person said to a proposal or enrolment, with a second factor as given: the signer alone reads and judges it.';

CREATE TABLE public.factor_verdict (
    answer_id uuid NOT NULL,
    accepted boolean NOT NULL,
    reason text NOT NULL,
    judged_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.factor_verdict IS 'The signer''s judgement of such an answer.';

CREATE TABLE public.file_check (
    id uuid DEFAULT uuidv7() NOT NULL,
    sha256 bytea NOT NULL,
    state text DEFAULT 'checking'::text NOT NULL,
    report jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone,
    CONSTRAINT file_check_check CHECK (((state = 'done'::text) = ((report IS NOT NULL) AND (done_at IS NOT NULL)))),
    CONSTRAINT file_check_state_check CHECK ((state = ANY (ARRAY['checking'::text, 'done'::text])))
);

COMMENT ON TABLE public.file_check IS 'A file that somebody outside asks us to verify; kept for a day.';

CREATE TABLE public.handed_back (
    id uuid DEFAULT uuidv7() NOT NULL,
    transaction_id text NOT NULL,
    request_id uuid NOT NULL,
    content_sha256 bytea NOT NULL,
    value bytea,
    certificate bytea,
    file_sha256 bytea,
    account_id uuid NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT handed_back_certificate_check CHECK ((octet_length(certificate) <= 16384)),
    CONSTRAINT handed_back_check CHECK (((value IS NULL) <> (file_sha256 IS NULL))),
    CONSTRAINT handed_back_content_sha256_check CHECK ((octet_length(content_sha256) = 32)),
    CONSTRAINT handed_back_value_check CHECK (((octet_length(value) >= 1) AND (octet_length(value) <= 8192)))
);

COMMENT ON TABLE public.handed_back IS 'What a signatory''s own program handed back for one item: a raw value with its certificate, or a whole signed file. The same content twice is one row.';

CREATE TABLE public.handed_back_verdict (
    handed_id uuid NOT NULL,
    code text NOT NULL,
    detail jsonb,
    verdict jsonb,
    judged_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.handed_back_verdict IS 'The signer''s judgement of what was handed back: "signed", or why not; verdict is what verification said of a whole file that was taken.';

CREATE VIEW public.held_result AS
 SELECT document.dossier_id,
    document.result_id,
    document.id AS document_id,
    debt.wanted AS level,
    debt.held_basis AS legal_basis,
    debt.signed_at AS since,
    debt.due_at,
    NULLIF(debt.problem, ''::text) AS problem,
        CASE
            WHEN (debt.try_at < (now() + '10 years'::interval)) THEN debt.try_at
            ELSE NULL::timestamp with time zone
        END AS next_try_at,
        CASE
            WHEN (debt.try_at < (now() + '10 years'::interval)) THEN public.level_expected(debt.due_at, debt.revision_id, debt.try_at)
            ELSE NULL::timestamp with time zone
        END AS expected_at
   FROM (public.level_debt debt
     JOIN public.document ON ((document.id = debt.document_id)))
  WHERE (debt.held_basis IS NOT NULL);

COMMENT ON VIEW public.held_result IS 'Sealed documents whose results wait for their level: why, since when, and when it is expected; what a person must look at has no next try.';

CREATE TABLE public.holder_page (
    state text NOT NULL,
    transaction_id text NOT NULL,
    url text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    CONSTRAINT holder_page_state_check CHECK (((octet_length(state) >= 22) AND (octet_length(state) <= 128))),
    CONSTRAINT holder_page_url_check CHECK ((octet_length(url) <= 16384))
);

COMMENT ON TABLE public.holder_page IS 'A page of a key holder on which the asking session''s person authorises one transaction; the newest of a transaction is the one that counts.';

CREATE TABLE public.holder_state (
    name text NOT NULL,
    reachable boolean NOT NULL,
    since timestamp with time zone NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    code text
);

COMMENT ON TABLE public.holder_state IS 'Whether the signer reached each key holder when it last looked, and since when that is so; desks show it.';

CREATE TABLE public.holder_transaction (
    id text NOT NULL,
    holder text NOT NULL,
    batch_id uuid NOT NULL,
    credential_id text NOT NULL,
    person_id uuid NOT NULL,
    state text NOT NULL,
    item_count integer NOT NULL,
    outcome text,
    started_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    poll_at timestamp with time zone NOT NULL,
    polls integer DEFAULT 0 NOT NULL,
    ended_at timestamp with time zone,
    shown_code text,
    CONSTRAINT holder_transaction_check CHECK (((state = 'ended'::text) = (ended_at IS NOT NULL))),
    CONSTRAINT holder_transaction_state_check CHECK ((state = ANY (ARRAY['starting'::text, 'waiting'::text, 'ended'::text])))
);

COMMENT ON TABLE public.holder_transaction IS 'One authorisation asked of a key holder; nobody waits for it: one poller per holder looks when poll_at has come.';

CREATE TABLE public.idempotency (
    actor text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_sha256 bytea NOT NULL,
    status smallint NOT NULL,
    answer json NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    lasting boolean DEFAULT false NOT NULL,
    CONSTRAINT idempotency_key_check CHECK (((length(key) >= 1) AND (length(key) <= 255)))
);

COMMENT ON TABLE public.idempotency IS 'The answer to an intent, as a reference without personal data, written in the transaction of its effect.';

COMMENT ON COLUMN public.idempotency.lasting IS 'Never forgotten: the effect has no natural key, so a late repeat would have it twice.';

CREATE TABLE public.job_claim (
    key text NOT NULL,
    kind text NOT NULL,
    claims integer DEFAULT 1 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    first_claimed_at timestamp with time zone DEFAULT now() NOT NULL,
    last_claimed_at timestamp with time zone DEFAULT now() NOT NULL,
    parked_at timestamp with time zone,
    reason text,
    payload bytea,
    priority integer DEFAULT 0 NOT NULL,
    CONSTRAINT job_claim_check CHECK (((parked_at IS NULL) = (reason IS NULL)))
);

COMMENT ON TABLE public.job_claim IS 'How often a piece of work was begun, committed before it begins: a job that kills its process is parked after three claims.';

CREATE TABLE public.journal (
    dossier_id uuid NOT NULL,
    seq integer NOT NULL,
    action text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    source text NOT NULL,
    actor_account_id uuid,
    actor_post_id uuid,
    actor_agency_id uuid,
    agency_name text,
    data jsonb NOT NULL,
    effect jsonb NOT NULL,
    CONSTRAINT journal_check CHECK (((source = 'import'::text) OR (occurred_at <= (recorded_at + '00:05:00'::interval)))),
    CONSTRAINT journal_seq_check CHECK ((seq > 0)),
    CONSTRAINT journal_source_check CHECK ((source = ANY (ARRAY['counter'::text, 'online'::text, 'portal'::text, 'import'::text, 'contingency'::text, 'system'::text])))
);

COMMENT ON TABLE public.journal IS 'What happened to a dossier, line by line, with the agency''s name of that time; never changed, never personal data.';

COMMENT ON COLUMN public.journal.data IS 'The facts of the line; `effect` holds what it set in the projection, so that a later rule never rewrites history.';

CREATE TABLE public.key_holder (
    name text NOT NULL,
    kind text NOT NULL,
    hashes_per_authorisation integer NOT NULL,
    window_s integer NOT NULL,
    parallel_limit integer NOT NULL,
    shows_document_names boolean NOT NULL,
    certificate_class text NOT NULL,
    asks_person boolean NOT NULL,
    development boolean NOT NULL,
    declared_at timestamp with time zone DEFAULT now() NOT NULL,
    carried boolean DEFAULT false NOT NULL,
    CONSTRAINT key_holder_certificate_class_check CHECK ((certificate_class = ANY (ARRAY['demo'::text, 'public'::text, 'public_duty'::text]))),
    CONSTRAINT key_holder_hashes_per_authorisation_check CHECK ((hashes_per_authorisation > 0)),
    CONSTRAINT key_holder_parallel_limit_check CHECK ((parallel_limit > 0)),
    CONSTRAINT key_holder_window_s_check CHECK ((window_s > 0))
);

COMMENT ON TABLE public.key_holder IS 'What each key holder declares of itself; the signer writes it, the API cuts batches by it.';

CREATE TABLE public.key_use (
    id uuid DEFAULT uuidv7() NOT NULL,
    request_id uuid NOT NULL,
    attempt integer NOT NULL,
    use_no integer NOT NULL,
    tbs_sha256 bytea NOT NULL,
    holder text NOT NULL,
    credential_id text NOT NULL,
    transaction_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT key_use_tbs_sha256_check CHECK ((octet_length(tbs_sha256) = 32)),
    CONSTRAINT key_use_use_no_check CHECK ((use_no > 0))
);

COMMENT ON TABLE public.key_use IS 'The intent, committed before each use of a key; a repeated use is over identical bytes and counted here.';

CREATE TABLE public.key_use_check (
    transaction_id text NOT NULL,
    found text NOT NULL,
    checked_at timestamp with time zone NOT NULL,
    CONSTRAINT key_use_check_found_check CHECK ((found = ANY (ARRAY['agreed'::text, 'not-known'::text, 'other-values'::text, 'signed-there'::text])))
);

COMMENT ON TABLE public.key_use_check IS 'Our account of a transaction held against the key holder''s own, once: agreed, or how they differ.';

CREATE TABLE public.legal_rule (
    id uuid DEFAULT uuidv7() NOT NULL,
    key text NOT NULL,
    value jsonb NOT NULL,
    legal_basis text NOT NULL,
    checked boolean NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT legal_rule_check CHECK ((valid_to > valid_from))
);

COMMENT ON TABLE public.legal_rule IS 'Every rule of law the system applies, as a dated row with its basis; `checked` is false where the text was not read.';

CREATE TABLE public.login_attempt (
    id bigint NOT NULL,
    login_fingerprint bytea NOT NULL,
    source inet,
    succeeded boolean NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.login_attempt IS 'Counts failures by account and source together: nobody locks a chairman out from outside.';

ALTER TABLE public.login_attempt ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.login_attempt_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.mandate (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    capacity text NOT NULL,
    person_id uuid NOT NULL,
    post_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    given_by_post_id uuid,
    acts text[] NOT NULL,
    procedure_codes text[],
    title_lines text[] NOT NULL,
    legal_basis text NOT NULL,
    valid_from timestamp with time zone NOT NULL,
    valid_to timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT mandate_capacity_check CHECK ((capacity = ANY (ARRAY['plain'::text, 'KT.'::text, 'TL.'::text, 'TUQ.'::text, 'TM.'::text, 'Q.'::text]))),
    CONSTRAINT mandate_check CHECK ((valid_to > valid_from)),
    CONSTRAINT mandate_check1 CHECK (((kind <> 'mandate'::text) OR (valid_to IS NOT NULL))),
    CONSTRAINT mandate_kind_check CHECK ((kind = ANY (ARRAY['standing'::text, 'assignment'::text, 'by_order'::text, 'mandate'::text])))
);

COMMENT ON TABLE public.mandate IS 'Authority to sign: the head''s own, assignment (phân công, KT.), by order (thừa lệnh, TL.), mandate (ủy quyền, TUQ., limited in time and content). NULL procedure_codes means all.';

CREATE TABLE public.number_counter (
    series_id uuid NOT NULL,
    year integer NOT NULL,
    n integer NOT NULL
);

COMMENT ON TABLE public.number_counter IS 'The last number per series and year (0 where the series does not restart); taken last, just before commit.';

CREATE TABLE public.number_gap (
    series_id uuid NOT NULL,
    year integer NOT NULL,
    first integer NOT NULL,
    last integer NOT NULL,
    reason text NOT NULL,
    noted_at timestamp with time zone NOT NULL,
    CONSTRAINT number_gap_check CHECK ((last >= first)),
    CONSTRAINT number_gap_first_check CHECK ((first > 0)),
    CONSTRAINT number_gap_reason_check CHECK ((reason <> ''::text))
);

COMMENT ON TABLE public.number_gap IS 'Numbers that no row of the register will ever hold, and why: after a restore to an earlier point they may stand on released papers. Written by the owner alone.';

CREATE TABLE public.number_series (
    id uuid DEFAULT uuidv7() NOT NULL,
    agency_id uuid NOT NULL,
    kind_code text NOT NULL,
    book text DEFAULT ''::text NOT NULL,
    pattern text NOT NULL,
    owner text NOT NULL,
    foreign_system text,
    yearly boolean DEFAULT true NOT NULL,
    legal_basis text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT number_series_check CHECK ((valid_to > valid_from)),
    CONSTRAINT number_series_check1 CHECK (((owner = 'foreign'::text) = (foreign_system IS NOT NULL))),
    CONSTRAINT number_series_owner_check CHECK ((owner = ANY (ARRAY['own'::text, 'foreign'::text])))
);

COMMENT ON TABLE public.number_series IS 'Number series (dãy số) by agency, kind of document or book, and date; a foreign register is asked, never invented.';

CREATE TABLE public.official (
    person_id uuid NOT NULL,
    display_name text NOT NULL,
    sort_key text NOT NULL COLLATE pg_catalog."C"
);

COMMENT ON TABLE public.official IS 'The name under which an official acts in public office: printed on results, hence not sealed.';

CREATE TABLE public.page_answer (
    state text NOT NULL,
    code text NOT NULL,
    error text NOT NULL,
    issuer text NOT NULL,
    account_id uuid NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT page_answer_code_check CHECK ((octet_length(code) <= 4096)),
    CONSTRAINT page_answer_error_check CHECK ((octet_length(error) <= 128)),
    CONSTRAINT page_answer_issuer_check CHECK ((octet_length(issuer) <= 1024))
);

COMMENT ON TABLE public.page_answer IS 'What a browser brought back from a page, once; the code is worth nothing without the verifier and the client''s secret, which the signer alone has.';

CREATE TABLE public.passkey (
    id uuid DEFAULT uuidv7() NOT NULL,
    account_id uuid NOT NULL,
    credential_id bytea NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    last_failure_at timestamp with time zone,
    enrolled_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone
);

COMMENT ON TABLE public.passkey IS 'Passkeys (WebAuthn): the signer writes them and alone verifies their assertions.';

CREATE TABLE public.passkey_nonce (
    account_id uuid NOT NULL,
    nonce uuid NOT NULL,
    used_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.passkey_nonce IS 'Each challenge of a passkey is good once: authenticators that keep no counter could be replayed otherwise.';

CREATE TABLE public.person (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT person_kind_check CHECK ((kind = ANY (ARRAY['official'::text, 'citizen'::text, 'organisation'::text])))
);

COMMENT ON TABLE public.person IS 'A person without any personal datum: those stand encrypted in person_private.';

CREATE TABLE public.person_private (
    person_id uuid NOT NULL,
    key_id text NOT NULL,
    name_sealed bytea NOT NULL,
    name_fingerprint bytea NOT NULL,
    id_number_sealed bytea,
    id_number_fingerprint bytea,
    contact_sealed bytea,
    phone_fingerprint bytea,
    details_sealed bytea
);

COMMENT ON TABLE public.person_private IS 'Personal data (Law 91/2025/QH15), sealed under a named key; fingerprints are keyed hashes for exact search.';

CREATE TABLE public.pgqueuer (
    id bigint NOT NULL,
    priority integer NOT NULL,
    queue_manager_id uuid,
    created timestamp with time zone DEFAULT now() NOT NULL,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    heartbeat timestamp with time zone DEFAULT now() NOT NULL,
    execute_after timestamp with time zone DEFAULT now() NOT NULL,
    status public.pgqueuer_status NOT NULL,
    entrypoint text NOT NULL,
    dedupe_key text,
    payload bytea,
    headers jsonb,
    attempts integer DEFAULT 0 NOT NULL,
    slot bigint
);

CREATE SEQUENCE public.pgqueuer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.pgqueuer_id_seq OWNED BY public.pgqueuer.id;

CREATE TABLE public.pgqueuer_log (
    id bigint NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    job_id bigint NOT NULL,
    status public.pgqueuer_status NOT NULL,
    priority integer NOT NULL,
    entrypoint text NOT NULL,
    traceback jsonb,
    aggregated boolean DEFAULT false
);

ALTER TABLE public.pgqueuer_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.pgqueuer_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.pgqueuer_schedules (
    id bigint NOT NULL,
    expression text NOT NULL,
    entrypoint text NOT NULL,
    heartbeat timestamp with time zone DEFAULT now() NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    next_run timestamp with time zone DEFAULT now() NOT NULL,
    last_run timestamp with time zone,
    status public.pgqueuer_status DEFAULT 'queued'::public.pgqueuer_status
);

CREATE SEQUENCE public.pgqueuer_schedules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.pgqueuer_schedules_id_seq OWNED BY public.pgqueuer_schedules.id;

CREATE TABLE public.pgqueuer_statistics (
    id bigint NOT NULL,
    created timestamp with time zone DEFAULT date_trunc('sec'::text, now()) NOT NULL,
    count bigint NOT NULL,
    priority integer NOT NULL,
    status public.pgqueuer_status NOT NULL,
    entrypoint text NOT NULL
);

CREATE SEQUENCE public.pgqueuer_statistics_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.pgqueuer_statistics_id_seq OWNED BY public.pgqueuer_statistics.id;

CREATE TABLE public.post (
    id uuid DEFAULT uuidv7() NOT NULL,
    agency_id uuid NOT NULL,
    unit text,
    title text NOT NULL,
    rank text NOT NULL,
    roles text[] NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT post_check CHECK ((valid_to > valid_from)),
    CONSTRAINT post_rank_check CHECK ((rank = ANY (ARRAY['head'::text, 'deputy'::text, 'division_head'::text, 'officer'::text, 'clerk'::text, 'administrator'::text])))
);

COMMENT ON TABLE public.post IS 'Posts (chức danh) at an agency with the roles they give there.';

CREATE TABLE public.post_holding (
    id uuid DEFAULT uuidv7() NOT NULL,
    person_id uuid NOT NULL,
    post_id uuid NOT NULL,
    valid_from timestamp with time zone NOT NULL,
    valid_to timestamp with time zone,
    legal_basis text NOT NULL,
    CONSTRAINT post_holding_check CHECK ((valid_to > valid_from))
);

COMMENT ON TABLE public.post_holding IS 'Who holds which post from when to when; one person may hold several at once.';

CREATE TABLE public.preparation (
    request_id uuid NOT NULL,
    attempt integer NOT NULL,
    base_sha256 bytea NOT NULL,
    base_size bigint NOT NULL,
    increment bytea NOT NULL,
    document_digest bytea NOT NULL,
    reserved_start bigint NOT NULL,
    reserved_end bigint NOT NULL,
    signed_attrs bytea NOT NULL,
    tbs_sha256 bytea NOT NULL,
    certificate_id uuid NOT NULL,
    mechanism text NOT NULL,
    prepared_at timestamp with time zone NOT NULL,
    CONSTRAINT preparation_tbs_sha256_check CHECK ((octet_length(tbs_sha256) = 32))
);

COMMENT ON TABLE public.preparation IS 'What survives the wait: the increment (a few kB) and the base''s hash, never a second copy of the file.';

CREATE TABLE public.print_order (
    id uuid DEFAULT uuidv7() NOT NULL,
    template text NOT NULL,
    data_sealed bytea NOT NULL,
    agency_id uuid NOT NULL,
    account_id uuid NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    sha256 bytea,
    error jsonb,
    ordered_at timestamp with time zone NOT NULL,
    done_at timestamp with time zone,
    CONSTRAINT print_order_check CHECK (((state = 'done'::text) = (sha256 IS NOT NULL))),
    CONSTRAINT print_order_check1 CHECK (((state = 'queued'::text) = (done_at IS NULL))),
    CONSTRAINT print_order_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'done'::text, 'failed'::text])))
);

COMMENT ON TABLE public.print_order IS 'A national form to be printed at a desk (giấy tiếp nhận, phiếu yêu cầu bổ sung, ...); kept for a day.';

CREATE TABLE public.procedure (
    code text NOT NULL,
    name text NOT NULL,
    sort_key text NOT NULL COLLATE pg_catalog."C",
    field_code text NOT NULL,
    field_name text NOT NULL,
    code_checked boolean NOT NULL
);

COMMENT ON TABLE public.procedure IS 'Administrative procedures (thủ tục hành chính) by national code.';

CREATE TABLE public.procedure_version (
    id uuid DEFAULT uuidv7() NOT NULL,
    code text NOT NULL,
    version integer NOT NULL,
    definition jsonb NOT NULL,
    form_of_result text NOT NULL,
    owning_system text NOT NULL,
    legal_basis text NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    published_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT procedure_version_check CHECK ((valid_to > valid_from)),
    CONSTRAINT procedure_version_form_of_result_check CHECK ((form_of_result = ANY (ARRAY['a'::text, 'b'::text, 'c'::text, 'd'::text]))),
    CONSTRAINT procedure_version_owning_system_check CHECK ((owning_system = ANY (ARRAY['province'::text, 'ministry'::text]))),
    CONSTRAINT procedure_version_version_check CHECK ((version > 0))
);

COMMENT ON TABLE public.procedure_version IS 'A procedure as data: steps, roles, durations, parts, fees, chain of signatures; a dossier keeps the version it began with.';

CREATE TABLE public.proposal (
    id uuid DEFAULT uuidv7() NOT NULL,
    kind text NOT NULL,
    agency_id uuid NOT NULL,
    subject_account_id uuid,
    content_sealed bytea NOT NULL,
    digest bytea NOT NULL,
    state text DEFAULT 'checking'::text NOT NULL,
    why jsonb,
    proposed_by_account_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    decided_at timestamp with time zone,
    made_id uuid,
    CONSTRAINT proposal_check CHECK (((state = ANY (ARRAY['checking'::text, 'waiting'::text])) = (decided_at IS NULL))),
    CONSTRAINT proposal_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT proposal_state_check CHECK ((state = ANY (ARRAY['checking'::text, 'waiting'::text, 'applied'::text, 'refused'::text, 'expired'::text])))
);

COMMENT ON TABLE public.proposal IS 'A change of what the signer decides by: the API may only propose it; the signer applies it after a second person''s fresh factor. made_id is what came of it.';

CREATE TABLE public.rate_limit (
    agency_id uuid,
    work text,
    per_second real NOT NULL,
    burst integer NOT NULL,
    reason text NOT NULL,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rate_limit_burst_check CHECK ((burst >= 1)),
    CONSTRAINT rate_limit_per_second_check CHECK ((per_second > (0)::double precision))
);

COMMENT ON TABLE public.rate_limit IS 'Where an agency, or every one, may ask more or less often than by default; without a class of work it holds for all of them.';

CREATE TABLE public.registry_version (
    one boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT registry_version_one_check CHECK (one)
);

COMMENT ON TABLE public.registry_version IS 'Counts changes of the registry; processes re-read it every 2 s in case a NOTIFY was lost.';

CREATE TABLE public.rendition (
    revision_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    level text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rendition_level_check CHECK ((level = ANY (ARRAY['B-B'::text, 'B-T'::text, 'B-LT'::text, 'B-LTA'::text])))
);

COMMENT ON TABLE public.rendition IS 'Each raised level of a sealed revision is a new blob; earlier ones stay.';

CREATE TABLE public.result (
    id uuid DEFAULT uuidv7() NOT NULL,
    dossier_id uuid NOT NULL,
    ordinal smallint NOT NULL,
    form text NOT NULL,
    kind_code text NOT NULL,
    title text NOT NULL,
    state text DEFAULT 'draft'::text NOT NULL,
    effect text DEFAULT 'none'::text NOT NULL,
    refusal boolean DEFAULT false NOT NULL,
    verify_code text NOT NULL,
    foreign_reference text,
    issued_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    foreign_system text,
    CONSTRAINT result_check CHECK (((state = 'issued'::text) <= (issued_at IS NOT NULL))),
    CONSTRAINT result_effect_check CHECK ((effect = ANY (ARRAY['none'::text, 'in_force'::text, 'corrected'::text, 'replaced'::text, 'recalled'::text, 'annulled'::text]))),
    CONSTRAINT result_foreign_check CHECK (((form <> 'c'::text) OR (state = ANY (ARRAY['draft'::text, 'dropped'::text])) OR ((foreign_system IS NOT NULL) AND (foreign_reference IS NOT NULL)))),
    CONSTRAINT result_form_check CHECK ((form = ANY (ARRAY['a'::text, 'b'::text, 'c'::text, 'd'::text]))),
    CONSTRAINT result_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'in_signing'::text, 'signed'::text, 'issued'::text, 'blocked'::text, 'dropped'::text])))
);

COMMENT ON TABLE public.result IS 'What a dossier ends in (kết quả): 1..n each; the form (a electronic, b paper then scan, c a ministry''s, d certified copy) comes from the procedure version.';

COMMENT ON COLUMN public.result.foreign_system IS 'The ministry''s system that issued a result of form c; set with its reference there when it is recorded here.';

CREATE TABLE public.result_effect (
    result_id uuid NOT NULL,
    ordinal smallint NOT NULL,
    effect text NOT NULL,
    at timestamp with time zone NOT NULL,
    legal_basis text NOT NULL,
    by_account_id uuid,
    CONSTRAINT result_effect_effect_check CHECK ((effect = ANY (ARRAY['in_force'::text, 'corrected'::text, 'replaced'::text, 'recalled'::text, 'annulled'::text])))
);

COMMENT ON TABLE public.result_effect IS 'The history of a result''s effect, with date and basis.';

CREATE TABLE public.result_link (
    from_result_id uuid NOT NULL,
    to_result_id uuid NOT NULL,
    kind text NOT NULL,
    at timestamp with time zone NOT NULL,
    legal_basis text NOT NULL,
    by_account_id uuid NOT NULL,
    CONSTRAINT result_link_kind_check CHECK ((kind = ANY (ARRAY['corrects'::text, 'replaces'::text, 'recalls'::text, 'annuls'::text])))
);

COMMENT ON TABLE public.result_link IS 'Correction (đính chính), replacement, recall (thu hồi), annulment (hủy bỏ): links both ways, nothing is overwritten.';

CREATE TABLE public.revision (
    id uuid DEFAULT uuidv7() NOT NULL,
    document_id uuid NOT NULL,
    ordinal integer NOT NULL,
    sha256 bytea NOT NULL,
    base_sha256 bytea,
    origin text NOT NULL,
    reason text NOT NULL,
    author_account_id uuid,
    request_id uuid,
    places jsonb,
    verdict jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT revision_ordinal_check CHECK ((ordinal > 0)),
    CONSTRAINT revision_origin_check CHECK ((origin = ANY (ARRAY['rendered'::text, 'uploaded'::text, 'laid'::text, 'signed'::text, 'sealed'::text])))
);

COMMENT ON TABLE public.revision IS 'Immutable states of a document; places holds where number, date and signatures stand.';

CREATE TABLE public.revision_withdrawal (
    revision_id uuid NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    by_account_id uuid
);

COMMENT ON TABLE public.revision_withdrawal IS 'A revision that is superseded: kept as evidence, never released.';

CREATE TABLE public.revocation_answer (
    key text NOT NULL,
    value bytea NOT NULL,
    until timestamp with time zone NOT NULL,
    stored_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.revocation_answer IS 'OCSP responses and CRLs as fetched, for all signers and across restarts; public data, signed by their authorities.';

CREATE TABLE public.schema_migrations (
    version character varying NOT NULL
);

CREATE TABLE public.second_factor (
    id uuid DEFAULT uuidv7() NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    key_id text NOT NULL,
    secret_sealed bytea NOT NULL,
    last_counter bigint DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    last_failure_at timestamp with time zone,
    enrolled_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT second_factor_kind_check CHECK ((kind = ANY (ARRAY['totp'::text, 'passkey'::text])))
);

COMMENT ON TABLE public.second_factor IS 'Secrets of second factors with the signer''s own guess counter: only the role signer reads or writes them.';

CREATE TABLE public.service_mode (
    one boolean DEFAULT true NOT NULL,
    mode text DEFAULT 'normal'::text NOT NULL,
    reason text,
    until timestamp with time zone,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT service_mode_check CHECK (((mode = 'normal'::text) = (reason IS NULL))),
    CONSTRAINT service_mode_mode_check CHECK ((mode = ANY (ARRAY['normal'::text, 'read-only'::text, 'maintenance'::text]))),
    CONSTRAINT service_mode_one_check CHECK (one)
);

COMMENT ON TABLE public.service_mode IS 'What the API answers just now: everything, reading alone, or that it is being maintained. One row, set by the owner alone.';

CREATE TABLE public.session (
    id uuid DEFAULT uuidv7() NOT NULL,
    token_sha256 bytea NOT NULL,
    account_id uuid NOT NULL,
    post_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    source inet,
    user_agent text,
    key_id text,
    restricted boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE public.session IS 'Server-side sessions of officials; they outlive a restart. Only the hash of the token is kept.';

COMMENT ON COLUMN public.session.key_id IS 'The session key under which the token''s hash was made.';

COMMENT ON COLUMN public.session.restricted IS 'Opened with a one-time password: nothing but changing it is allowed.';

CREATE TABLE public.signature_answer (
    id uuid DEFAULT uuidv7() NOT NULL,
    holder text NOT NULL,
    transaction_id text,
    body bytea NOT NULL,
    headers jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT signature_answer_body_check CHECK ((octet_length(body) <= 1048576))
);

COMMENT ON TABLE public.signature_answer IS 'What came from outside (webhook, upload), committed before it is answered; the signer alone judges it.';

CREATE TABLE public.signature_batch (
    id uuid DEFAULT uuidv7() NOT NULL,
    account_id uuid NOT NULL,
    person_id uuid NOT NULL,
    post_id uuid NOT NULL,
    agency_id uuid NOT NULL,
    session_id uuid,
    lane text NOT NULL,
    item_count integer NOT NULL,
    complete boolean DEFAULT false NOT NULL,
    trace_id text,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    authorised_until timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    CONSTRAINT signature_batch_item_count_check CHECK (((item_count >= 1) AND (item_count <= 500))),
    CONSTRAINT signature_batch_lane_check CHECK ((lane = ANY (ARRAY['counter'::text, 'normal'::text])))
);

COMMENT ON TABLE public.signature_batch IS 'A ticket (mã lượt ký): what one person asked to be signed at one moment, with one fresh second factor.';

CREATE TABLE public.signature_value (
    request_id uuid NOT NULL,
    attempt integer NOT NULL,
    value bytea NOT NULL,
    source text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT signature_value_source_check CHECK ((source = ANY (ARRAY['poll'::text, 'webhook'::text, 'upload'::text])))
);

COMMENT ON TABLE public.signature_value IS 'At most one value per intent; it fitted certificate and attributes when it was written.';

CREATE VIEW public.signing_errand WITH (security_barrier='true') AS
 SELECT due.id AS transaction_id,
    due.batch_id,
    due.person_id,
    due.started_at,
    due.expires_at,
    request.id AS request_id,
    request.document_id,
    request.dossier_id,
    request.number_id,
    request.role,
    request.act,
    request.field,
    preparation.base_sha256,
    preparation.base_size,
    preparation.increment,
    preparation.reserved_start,
    preparation.reserved_end,
    preparation.signed_attrs,
    preparation.tbs_sha256,
    preparation.mechanism,
    certificate.serial
   FROM ((((public.holder_transaction due
     JOIN public.key_holder ON (((key_holder.name = due.holder) AND key_holder.carried)))
     JOIN public.signature_request request ON (((request.transaction_id = due.id) AND (request.state = 'sent'::text))))
     JOIN public.preparation ON (((preparation.request_id = request.id) AND (preparation.attempt = request.attempt))))
     JOIN public.certificate ON ((certificate.id = preparation.certificate_id)))
  WHERE (due.state <> 'ended'::text);

COMMENT ON VIEW public.signing_errand IS 'What waits for a signatory''s own program: the prepared bytes go out through the API, which may not read any other preparation.';

CREATE TABLE public.step_up (
    id uuid DEFAULT uuidv7() NOT NULL,
    batch_id uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    response bytea NOT NULL,
    digest bytea NOT NULL,
    offered_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT step_up_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT step_up_kind_check CHECK ((kind = ANY (ARRAY['totp'::text, 'passkey'::text, 'remote'::text])))
);

COMMENT ON TABLE public.step_up IS 'The answer to a second factor as the person gave it; the signer alone can judge it, against the time of this commit. digest covers the digests shown.';

CREATE TABLE public.step_up_verdict (
    step_up_id uuid NOT NULL,
    accepted boolean NOT NULL,
    reason text,
    judged_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.step_up_verdict IS 'The signer''s judgement of a second factor.';

CREATE TABLE public.task (
    id uuid DEFAULT uuidv7() NOT NULL,
    dossier_id uuid NOT NULL,
    kind text NOT NULL,
    step text NOT NULL,
    agency_id uuid NOT NULL,
    unit text,
    role text NOT NULL,
    assignee_account_id uuid,
    state text NOT NULL,
    due_original_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone NOT NULL,
    claimed_at timestamp with time zone,
    ended_at timestamp with time zone,
    outcome text,
    asked_by_account_id uuid,
    asked_by_agency_id uuid,
    question_seq integer,
    answer_seq integer,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT task_check CHECK (((state = 'claimed'::text) <= (assignee_account_id IS NOT NULL))),
    CONSTRAINT task_check1 CHECK (((state = ANY (ARRAY['done'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT task_check2 CHECK (((kind = 'opinion'::text) <= (question_seq IS NOT NULL))),
    CONSTRAINT task_check3 CHECK ((((kind = 'opinion'::text) AND (state = 'done'::text)) <= (answer_seq IS NOT NULL))),
    CONSTRAINT task_kind_check CHECK ((kind = ANY (ARRAY['work'::text, 'hand_over'::text, 'opinion'::text, 'dispatch'::text]))),
    CONSTRAINT task_state_check CHECK ((state = ANY (ARRAY['open'::text, 'claimed'::text, 'done'::text, 'cancelled'::text])))
);

COMMENT ON TABLE public.task IS 'Open work: assignee, unit, due, outcome; several at once (parallel opinions, each with a deadline; silence is never consent).';

CREATE TABLE public.territory (
    code text NOT NULL,
    name text NOT NULL,
    level text NOT NULL,
    parent_code text,
    valid_from date NOT NULL,
    valid_to date,
    CONSTRAINT territory_check CHECK ((valid_to > valid_from)),
    CONSTRAINT territory_level_check CHECK ((level = ANY (ARRAY['province'::text, 'district'::text, 'commune'::text])))
);

COMMENT ON TABLE public.territory IS 'Administrative territories (đơn vị hành chính) by national code, with the dates between which each exists.';

CREATE TABLE public.upload (
    id uuid DEFAULT uuidv7() NOT NULL,
    sha256 bytea NOT NULL,
    profile text NOT NULL,
    state text DEFAULT 'checking'::text NOT NULL,
    file_name_sealed bytea,
    dossier_id uuid,
    account_id uuid,
    accepted_sha256 bytea,
    report jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    checked_at timestamp with time zone,
    CONSTRAINT upload_check CHECK (((state = 'accepted'::text) <= (accepted_sha256 IS NOT NULL))),
    CONSTRAINT upload_profile_check CHECK ((profile = ANY (ARRAY['handed_in'::text, 'to_sign'::text]))),
    CONSTRAINT upload_state_check CHECK ((state = ANY (ARRAY['checking'::text, 'accepted'::text, 'refused'::text])))
);

COMMENT ON TABLE public.upload IS 'A file on its way in: handed in (kept byte for byte) or to be signed (may be rewritten once, before its first signature).';

CREATE TABLE public.view_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    account_id uuid NOT NULL,
    post_id uuid NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid NOT NULL,
    purpose text NOT NULL
);

COMMENT ON TABLE public.view_log IS 'Every view of personal data by staff: who, when, of what, why.';

ALTER TABLE public.view_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.view_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.pgqueuer ALTER COLUMN id SET DEFAULT nextval('public.pgqueuer_id_seq'::regclass);

ALTER TABLE ONLY public.pgqueuer_schedules ALTER COLUMN id SET DEFAULT nextval('public.pgqueuer_schedules_id_seq'::regclass);

ALTER TABLE ONLY public.pgqueuer_statistics ALTER COLUMN id SET DEFAULT nextval('public.pgqueuer_statistics_id_seq'::regclass);

ALTER TABLE ONLY public.account_block
    ADD CONSTRAINT account_block_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_login_key UNIQUE (login);

ALTER TABLE ONLY public.account_password
    ADD CONSTRAINT account_password_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.agency_code
    ADD CONSTRAINT agency_code_pkey PRIMARY KEY (scheme, code, valid_from);

ALTER TABLE ONLY public.agency
    ADD CONSTRAINT agency_code_valid_from_key UNIQUE (code, valid_from);

ALTER TABLE ONLY public.agency_name
    ADD CONSTRAINT agency_name_pkey PRIMARY KEY (agency_id, valid_from);

ALTER TABLE ONLY public.agency
    ADD CONSTRAINT agency_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.agency_site
    ADD CONSTRAINT agency_site_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.agency_succession
    ADD CONSTRAINT agency_succession_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.answer_verdict
    ADD CONSTRAINT answer_verdict_pkey PRIMARY KEY (answer_id);

ALTER TABLE ONLY public.audit_chain
    ADD CONSTRAINT audit_chain_audit_id_key UNIQUE (audit_id);

ALTER TABLE ONLY public.audit_chain
    ADD CONSTRAINT audit_chain_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.audit_checkpoint
    ADD CONSTRAINT audit_checkpoint_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.audit_key
    ADD CONSTRAINT audit_key_id_key UNIQUE (id);

ALTER TABLE ONLY public.audit_key
    ADD CONSTRAINT audit_key_pkey PRIMARY KEY (ordinal);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.backfill
    ADD CONSTRAINT backfill_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.batch_item
    ADD CONSTRAINT batch_item_batch_id_request_id_key UNIQUE (batch_id, request_id);

ALTER TABLE ONLY public.batch_item
    ADD CONSTRAINT batch_item_pkey PRIMARY KEY (batch_id, ordinal);

ALTER TABLE ONLY public.blob
    ADD CONSTRAINT blob_pkey PRIMARY KEY (sha256);

ALTER TABLE ONLY public.calendar_day
    ADD CONSTRAINT calendar_day_pkey PRIMARY KEY (version, day);

ALTER TABLE ONLY public.calendar_version
    ADD CONSTRAINT calendar_version_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_issuer_serial_key UNIQUE (issuer, serial);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.certificate_status
    ADD CONSTRAINT certificate_status_pkey PRIMARY KEY (certificate_id);

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.competence
    ADD CONSTRAINT competence_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_result_id_ordinal_key UNIQUE (result_id, ordinal);

ALTER TABLE ONLY public.dossier_access
    ADD CONSTRAINT dossier_access_pkey PRIMARY KEY (dossier_id);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_code_key UNIQUE (code);

ALTER TABLE ONLY public.dossier_code
    ADD CONSTRAINT dossier_code_pkey PRIMARY KEY (issuer, code);

ALTER TABLE ONLY public.dossier_counter
    ADD CONSTRAINT dossier_counter_pkey PRIMARY KEY (agency_id, day);

ALTER TABLE ONLY public.dossier_deadline
    ADD CONSTRAINT dossier_deadline_pkey PRIMARY KEY (dossier_id, seq);

ALTER TABLE ONLY public.dossier_fee
    ADD CONSTRAINT dossier_fee_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dossier_link
    ADD CONSTRAINT dossier_link_pkey PRIMARY KEY (from_dossier_id, to_dossier_id, kind);

ALTER TABLE ONLY public.dossier_note
    ADD CONSTRAINT dossier_note_pkey PRIMARY KEY (dossier_id, seq);

ALTER TABLE ONLY public.dossier_part
    ADD CONSTRAINT dossier_part_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dossier_party
    ADD CONSTRAINT dossier_party_dossier_id_role_ordinal_key UNIQUE (dossier_id, role, ordinal);

ALTER TABLE ONLY public.dossier_party
    ADD CONSTRAINT dossier_party_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dossier_pause
    ADD CONSTRAINT dossier_pause_pkey PRIMARY KEY (dossier_id, ordinal);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.draft_order
    ADD CONSTRAINT draft_order_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.enrolment_material
    ADD CONSTRAINT enrolment_material_pkey PRIMARY KEY (enrolment_id);

ALTER TABLE ONLY public.enrolment_offer
    ADD CONSTRAINT enrolment_offer_pkey PRIMARY KEY (enrolment_id);

ALTER TABLE ONLY public.enrolment_offer
    ADD CONSTRAINT enrolment_offer_proposal_id_key UNIQUE (proposal_id);

ALTER TABLE ONLY public.enrolment
    ADD CONSTRAINT enrolment_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.factor_answer
    ADD CONSTRAINT factor_answer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.factor_verdict
    ADD CONSTRAINT factor_verdict_pkey PRIMARY KEY (answer_id);

ALTER TABLE ONLY public.file_check
    ADD CONSTRAINT file_check_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.handed_back
    ADD CONSTRAINT handed_back_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.handed_back
    ADD CONSTRAINT handed_back_transaction_id_request_id_content_sha256_key UNIQUE (transaction_id, request_id, content_sha256);

ALTER TABLE ONLY public.handed_back_verdict
    ADD CONSTRAINT handed_back_verdict_pkey PRIMARY KEY (handed_id);

ALTER TABLE ONLY public.holder_page
    ADD CONSTRAINT holder_page_pkey PRIMARY KEY (state);

ALTER TABLE ONLY public.holder_state
    ADD CONSTRAINT holder_state_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.holder_transaction
    ADD CONSTRAINT holder_transaction_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (actor, route, key);

ALTER TABLE ONLY public.job_claim
    ADD CONSTRAINT job_claim_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_pkey PRIMARY KEY (dossier_id, seq);

ALTER TABLE ONLY public.key_holder
    ADD CONSTRAINT key_holder_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.key_use_check
    ADD CONSTRAINT key_use_check_pkey PRIMARY KEY (transaction_id);

ALTER TABLE ONLY public.key_use
    ADD CONSTRAINT key_use_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.key_use
    ADD CONSTRAINT key_use_request_id_attempt_use_no_key UNIQUE (request_id, attempt, use_no);

ALTER TABLE ONLY public.legal_rule
    ADD CONSTRAINT legal_rule_key_valid_from_key UNIQUE (key, valid_from);

ALTER TABLE ONLY public.legal_rule
    ADD CONSTRAINT legal_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.level_debt
    ADD CONSTRAINT level_debt_pkey PRIMARY KEY (revision_id);

ALTER TABLE ONLY public.login_attempt
    ADD CONSTRAINT login_attempt_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.mandate
    ADD CONSTRAINT mandate_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.number_counter
    ADD CONSTRAINT number_counter_pkey PRIMARY KEY (series_id, year);

ALTER TABLE ONLY public.number_gap
    ADD CONSTRAINT number_gap_pkey PRIMARY KEY (series_id, year, first);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.number_series
    ADD CONSTRAINT number_series_agency_id_kind_code_book_valid_from_key UNIQUE (agency_id, kind_code, book, valid_from);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_series_id_year_n_key UNIQUE (series_id, year, n);

ALTER TABLE ONLY public.number_series
    ADD CONSTRAINT number_series_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.official
    ADD CONSTRAINT official_pkey PRIMARY KEY (person_id);

ALTER TABLE ONLY public.page_answer
    ADD CONSTRAINT page_answer_pkey PRIMARY KEY (state);

ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT passkey_credential_id_key UNIQUE (credential_id);

ALTER TABLE ONLY public.passkey_nonce
    ADD CONSTRAINT passkey_nonce_pkey PRIMARY KEY (account_id, nonce);

ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT passkey_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.person_private
    ADD CONSTRAINT person_private_pkey PRIMARY KEY (person_id);

ALTER TABLE ONLY public.pgqueuer_log
    ADD CONSTRAINT pgqueuer_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pgqueuer
    ADD CONSTRAINT pgqueuer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pgqueuer_schedules
    ADD CONSTRAINT pgqueuer_schedules_expression_entrypoint_key UNIQUE (expression, entrypoint);

ALTER TABLE ONLY public.pgqueuer_schedules
    ADD CONSTRAINT pgqueuer_schedules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pgqueuer_statistics
    ADD CONSTRAINT pgqueuer_statistics_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.post_holding
    ADD CONSTRAINT post_holding_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.post
    ADD CONSTRAINT post_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.preparation
    ADD CONSTRAINT preparation_pkey PRIMARY KEY (request_id, attempt);

ALTER TABLE ONLY public.print_order
    ADD CONSTRAINT print_order_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.procedure
    ADD CONSTRAINT procedure_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.procedure_version
    ADD CONSTRAINT procedure_version_code_version_key UNIQUE (code, version);

ALTER TABLE ONLY public.procedure_version
    ADD CONSTRAINT procedure_version_pkey PRIMARY KEY (id);

ALTER TABLE public.proposal
    ADD CONSTRAINT proposal_kind_check CHECK ((kind = ANY (ARRAY['open_account'::text, 'unlock_account'::text, 'close_account'::text, 'give_post'::text, 'end_post'::text, 'enrol_factor'::text, 'give_mandate'::text, 'revoke_mandate'::text, 'bind_certificate'::text, 'unbind_certificate'::text, 'bind_seal'::text, 'unbind_seal'::text]))) NOT VALID;

ALTER TABLE ONLY public.proposal
    ADD CONSTRAINT proposal_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rate_limit
    ADD CONSTRAINT rate_limit_agency_id_work_key UNIQUE NULLS NOT DISTINCT (agency_id, work);

ALTER TABLE ONLY public.registry_version
    ADD CONSTRAINT registry_version_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.rendition
    ADD CONSTRAINT rendition_pkey PRIMARY KEY (revision_id, sha256);

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_dossier_id_ordinal_key UNIQUE (dossier_id, ordinal);

ALTER TABLE ONLY public.result_effect
    ADD CONSTRAINT result_effect_pkey PRIMARY KEY (result_id, ordinal);

ALTER TABLE ONLY public.result_link
    ADD CONSTRAINT result_link_pkey PRIMARY KEY (from_result_id, to_result_id, kind);

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_verify_code_key UNIQUE (verify_code);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_document_id_ordinal_key UNIQUE (document_id, ordinal);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.revision_withdrawal
    ADD CONSTRAINT revision_withdrawal_pkey PRIMARY KEY (revision_id);

ALTER TABLE ONLY public.revocation_answer
    ADD CONSTRAINT revocation_answer_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.second_factor
    ADD CONSTRAINT second_factor_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.service_mode
    ADD CONSTRAINT service_mode_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_token_sha256_key UNIQUE (token_sha256);

ALTER TABLE ONLY public.signature_answer
    ADD CONSTRAINT signature_answer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.signature_batch
    ADD CONSTRAINT signature_batch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_chain_id_ordinal_key UNIQUE (chain_id, ordinal);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.signature_value
    ADD CONSTRAINT signature_value_pkey PRIMARY KEY (request_id, attempt);

ALTER TABLE ONLY public.step_up
    ADD CONSTRAINT step_up_batch_id_key UNIQUE (batch_id);

ALTER TABLE ONLY public.step_up
    ADD CONSTRAINT step_up_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.step_up_verdict
    ADD CONSTRAINT step_up_verdict_pkey PRIMARY KEY (step_up_id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.territory
    ADD CONSTRAINT territory_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.timestamp_authority
    ADD CONSTRAINT timestamp_authority_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.view_log
    ADD CONSTRAINT view_log_pkey PRIMARY KEY (id);

CREATE INDEX account_block_account ON public.account_block USING btree (account_id, at);

CREATE INDEX account_block_locked ON public.account_block USING btree (account_id) WHERE ((what = 'account'::text) AND (lifted_at IS NULL));

CREATE INDEX account_person ON public.account USING btree (person_id);

CREATE INDEX agency_succession_predecessor ON public.agency_succession USING btree (predecessor_id, effective_at);

CREATE INDEX agency_succession_successor ON public.agency_succession USING btree (successor_id, effective_at);

CREATE INDEX audit_actor ON public.audit USING btree (actor_account_id, id);

CREATE INDEX audit_subject ON public.audit USING btree (subject_kind, subject_id, id);

CREATE INDEX audit_xid ON public.audit USING btree (xid, id);

CREATE INDEX batch_item_open ON public.batch_item USING btree (batch_id) WHERE (outcome IS NULL);

CREATE INDEX batch_item_request ON public.batch_item USING btree (request_id);

CREATE INDEX certificate_agency ON public.certificate USING btree (agency_id) WHERE (agency_id IS NOT NULL);

CREATE INDEX certificate_person ON public.certificate USING btree (person_id) WHERE (person_id IS NOT NULL);

CREATE INDEX chain_document ON public.chain USING btree (document_id);

CREATE INDEX chain_dossier ON public.chain USING btree (dossier_id);

CREATE INDEX chain_of_result ON public.chain USING btree (result_id) WHERE (state = ANY (ARRAY['laying'::text, 'open'::text]));

CREATE UNIQUE INDEX chain_open ON public.chain USING btree (document_id) WHERE (state = ANY (ARRAY['laying'::text, 'open'::text]));

CREATE INDEX competence_lookup ON public.competence USING btree (procedure_code, territory_code, valid_from);

CREATE UNIQUE INDEX delivery_once ON public.delivery USING btree (result_id, channel) WHERE (state <> 'failed'::text);

CREATE INDEX document_annexes ON public.document USING btree (main_document_id) WHERE (main_document_id IS NOT NULL);

CREATE INDEX document_dossier ON public.document USING btree (dossier_id);

CREATE INDEX dossier_code_dossier ON public.dossier_code USING btree (dossier_id);

CREATE INDEX dossier_fee_dossier ON public.dossier_fee USING btree (dossier_id);

CREATE INDEX dossier_part_dossier ON public.dossier_part USING btree (dossier_id);

CREATE INDEX dossier_party_person ON public.dossier_party USING btree (person_id);

CREATE UNIQUE INDEX dossier_pause_open ON public.dossier_pause USING btree (dossier_id) WHERE (to_at IS NULL);

CREATE INDEX dossier_receipt_list ON public.dossier USING btree (receipt_agency_id, status, due_at, id);

CREATE INDEX dossier_step_list ON public.dossier USING btree (step_agency_id, status, due_at, id);

CREATE INDEX draft_order_document ON public.draft_order USING btree (document_id);

CREATE INDEX enrolment_account ON public.enrolment USING btree (account_id, id);

CREATE INDEX factor_answer_enrolment ON public.factor_answer USING btree (enrolment_id) WHERE (enrolment_id IS NOT NULL);

CREATE INDEX factor_answer_proposal ON public.factor_answer USING btree (proposal_id) WHERE (proposal_id IS NOT NULL);

CREATE UNIQUE INDEX factor_answer_proposer ON public.factor_answer USING btree (proposal_id) WHERE (purpose = 'propose'::text);

CREATE INDEX file_check_age ON public.file_check USING btree (created_at);

CREATE INDEX handed_back_file ON public.handed_back USING btree (file_sha256) WHERE (file_sha256 IS NOT NULL);

CREATE INDEX handed_back_request ON public.handed_back USING btree (request_id);

CREATE INDEX holder_page_transaction ON public.holder_page USING btree (transaction_id, opened_at);

CREATE INDEX holder_transaction_batch ON public.holder_transaction USING btree (batch_id);

CREATE INDEX holder_transaction_ended ON public.holder_transaction USING btree (holder, ended_at) WHERE (state = 'ended'::text);

CREATE INDEX holder_transaction_person ON public.holder_transaction USING btree (person_id) WHERE (state <> 'ended'::text);

CREATE INDEX holder_transaction_poll ON public.holder_transaction USING btree (holder, poll_at) WHERE (state <> 'ended'::text);

CREATE INDEX idempotency_age ON public.idempotency USING btree (created_at);

CREATE INDEX job_claim_parked ON public.job_claim USING btree (parked_at) WHERE (parked_at IS NOT NULL);

CREATE INDEX key_use_check_differs ON public.key_use_check USING btree (checked_at) WHERE (found <> 'agreed'::text);

CREATE INDEX key_use_transaction ON public.key_use USING btree (transaction_id);

CREATE INDEX level_debt_held ON public.level_debt USING btree (document_id) WHERE (held_basis IS NOT NULL);

CREATE INDEX level_debt_open ON public.level_debt USING btree (due_at, revision_id) WHERE (paid_at IS NULL);

CREATE INDEX level_debt_paid ON public.level_debt USING btree (paid_at) WHERE (paid_at IS NOT NULL);

CREATE INDEX level_debt_renewal ON public.level_debt USING btree (renew_at) WHERE ((paid_at IS NOT NULL) AND (renew_at IS NOT NULL));

CREATE INDEX level_debt_request ON public.level_debt USING btree (request_id);

CREATE INDEX login_attempt_lookup ON public.login_attempt USING btree (login_fingerprint, source, at);

CREATE INDEX mandate_person ON public.mandate USING btree (person_id, agency_id);

CREATE INDEX number_book ON public.number USING btree (series_id, year, n);

CREATE UNIQUE INDEX number_of_document ON public.number USING btree (document_id) WHERE (state <> 'void'::text);

CREATE INDEX passkey_account ON public.passkey USING btree (account_id) WHERE (revoked_at IS NULL);

CREATE INDEX passkey_nonce_age ON public.passkey_nonce USING btree (used_at);

CREATE INDEX person_private_id_number ON public.person_private USING btree (id_number_fingerprint) WHERE (id_number_fingerprint IS NOT NULL);

CREATE INDEX person_private_name ON public.person_private USING btree (name_fingerprint);

CREATE INDEX person_private_phone ON public.person_private USING btree (phone_fingerprint) WHERE (phone_fingerprint IS NOT NULL);

CREATE INDEX pgqueuer_ep_ea_idx ON public.pgqueuer USING btree (entrypoint, execute_after) WHERE (status = 'queued'::public.pgqueuer_status);

CREATE INDEX pgqueuer_ep_prio_id_idx ON public.pgqueuer USING btree (entrypoint, priority DESC, id) WHERE (status = 'queued'::public.pgqueuer_status);

CREATE INDEX pgqueuer_log_created ON public.pgqueuer_log USING btree (created);

CREATE INDEX pgqueuer_log_job_id_status ON public.pgqueuer_log USING btree (job_id, created DESC);

CREATE INDEX pgqueuer_log_not_aggregated ON public.pgqueuer_log USING btree ((1)) WHERE (NOT aggregated);

CREATE INDEX pgqueuer_log_status ON public.pgqueuer_log USING btree (status);

CREATE INDEX pgqueuer_picked_heartbeat_idx ON public.pgqueuer USING btree (heartbeat) WHERE (status = 'picked'::public.pgqueuer_status);

CREATE UNIQUE INDEX pgqueuer_picked_slot_idx ON public.pgqueuer USING btree (entrypoint, slot) WHERE ((status = 'picked'::public.pgqueuer_status) AND (slot IS NOT NULL));

CREATE INDEX pgqueuer_priority_id_id1_idx ON public.pgqueuer USING btree (priority, id DESC) INCLUDE (id) WHERE (status = 'queued'::public.pgqueuer_status);

CREATE INDEX pgqueuer_queue_manager_id_idx ON public.pgqueuer USING btree (queue_manager_id) WHERE (queue_manager_id IS NOT NULL);

CREATE UNIQUE INDEX pgqueuer_statistics_unique_count ON public.pgqueuer_statistics USING btree (priority, date_trunc('sec'::text, timezone('UTC'::text, created)), status, entrypoint);

CREATE UNIQUE INDEX pgqueuer_unique_dedupe_key ON public.pgqueuer USING btree (dedupe_key) WHERE ((status = ANY (ARRAY['queued'::public.pgqueuer_status, 'picked'::public.pgqueuer_status])) AND (dedupe_key IS NOT NULL));

CREATE INDEX pgqueuer_updated_id_id1_idx ON public.pgqueuer USING btree (updated, id DESC) INCLUDE (id) WHERE (status = 'picked'::public.pgqueuer_status);

CREATE INDEX post_agency ON public.post USING btree (agency_id);

CREATE INDEX post_holding_person ON public.post_holding USING btree (person_id);

CREATE INDEX post_holding_post ON public.post_holding USING btree (post_id);

CREATE INDEX print_order_age ON public.print_order USING btree (ordered_at);

CREATE INDEX proposal_agency ON public.proposal USING btree (agency_id, id);

CREATE INDEX proposal_open ON public.proposal USING btree (created_at) WHERE (state = ANY (ARRAY['checking'::text, 'waiting'::text]));

CREATE INDEX proposal_subject ON public.proposal USING btree (subject_account_id, decided_at) WHERE (state = 'applied'::text);

CREATE INDEX rendition_sha256 ON public.rendition USING btree (sha256);

CREATE INDEX result_link_to ON public.result_link USING btree (to_result_id);

CREATE UNIQUE INDEX revision_once ON public.revision USING btree (request_id) WHERE (request_id IS NOT NULL);

COMMENT ON INDEX public.revision_once IS 'A request is recorded at most once.';

CREATE INDEX revision_sha256 ON public.revision USING btree (sha256);

CREATE UNIQUE INDEX second_factor_totp ON public.second_factor USING btree (account_id) WHERE ((kind = 'totp'::text) AND (revoked_at IS NULL));

CREATE INDEX session_account ON public.session USING btree (account_id) WHERE (ended_at IS NULL);

CREATE INDEX signature_batch_account ON public.signature_batch USING btree (account_id, id);

CREATE INDEX signature_batch_open ON public.signature_batch USING btree (person_id, id) WHERE (closed_at IS NULL);

CREATE INDEX signature_batch_unjudged ON public.signature_batch USING btree (asked_at) WHERE (NOT complete);

CREATE INDEX signature_request_batch ON public.signature_request USING btree (batch_id) WHERE (batch_id IS NOT NULL);

CREATE INDEX signature_request_dossier ON public.signature_request USING btree (dossier_id);

CREATE INDEX signature_request_open ON public.signature_request USING btree (state, state_at) WHERE (state = ANY (ARRAY['asked'::text, 'prepared'::text, 'sent'::text, 'value_received'::text]));

CREATE INDEX signature_request_ready_person ON public.signature_request USING btree (person_id, lane, COALESCE(due_at, 'infinity'::timestamp with time zone), id) WHERE ((state = 'to_sign'::text) AND (ready IS NOT FALSE));

CREATE INDEX signature_request_ready_seal ON public.signature_request USING btree (agency_id, lane, COALESCE(due_at, 'infinity'::timestamp with time zone), id) WHERE ((state = 'to_sign'::text) AND (role = 'seal'::text) AND (ready IS NOT FALSE));

CREATE INDEX signature_request_recent ON public.signature_request USING btree (recorded_at) WHERE (recorded_at IS NOT NULL);

CREATE INDEX signature_request_transaction ON public.signature_request USING btree (transaction_id) WHERE (transaction_id IS NOT NULL);

CREATE INDEX signature_request_waits_agency ON public.signature_request USING btree (agency_id, role, lane, COALESCE(due_at, 'infinity'::timestamp with time zone), id) WHERE (state = 'to_sign'::text);

CREATE INDEX signature_request_waits_person ON public.signature_request USING btree (person_id, lane, COALESCE(due_at, 'infinity'::timestamp with time zone), id) WHERE (state = 'to_sign'::text);

CREATE UNIQUE INDEX signature_request_writer ON public.signature_request USING btree (document_id) WHERE (state = ANY (ARRAY['asked'::text, 'prepared'::text, 'sent'::text, 'value_received'::text]));

CREATE INDEX task_dispatch ON public.task USING btree (due_at, id) WHERE ((kind = 'dispatch'::text) AND (state = ANY (ARRAY['open'::text, 'claimed'::text])));

CREATE INDEX task_dossier ON public.task USING btree (dossier_id);

CREATE INDEX task_mine ON public.task USING btree (assignee_account_id, due_at, id) WHERE (state = 'claimed'::text);

CREATE INDEX task_open_list ON public.task USING btree (agency_id, role, due_at, id) WHERE (state = ANY (ARRAY['open'::text, 'claimed'::text]));

CREATE UNIQUE INDEX task_work_once ON public.task USING btree (dossier_id, kind) WHERE ((kind <> 'opinion'::text) AND (state = ANY (ARRAY['open'::text, 'claimed'::text])));

CREATE INDEX upload_checking ON public.upload USING btree (created_at) WHERE (state = 'checking'::text);

CREATE INDEX upload_dossier ON public.upload USING btree (dossier_id) WHERE (dossier_id IS NOT NULL);

CREATE INDEX view_log_subject ON public.view_log USING btree (subject_kind, subject_id, id);

CREATE TRIGGER agency_changed AFTER INSERT OR DELETE OR UPDATE ON public.agency FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER annex_after_main BEFORE UPDATE OF state ON public.signature_request FOR EACH ROW WHEN (((new.act = 'separate_annex'::text) AND (new.state = 'recorded'::text) AND (old.state <> 'recorded'::text))) EXECUTE FUNCTION public.annex_after_main();

CREATE TRIGGER audit_append_only BEFORE DELETE OR UPDATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER audit_chain_append_only BEFORE DELETE OR UPDATE ON public.audit_chain FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER audit_checkpoint_append_only BEFORE DELETE OR UPDATE ON public.audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER audit_key_append_only BEFORE DELETE OR UPDATE ON public.audit_key FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER calendar_changed AFTER INSERT OR DELETE OR UPDATE ON public.calendar_version FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER chain_opened AFTER UPDATE OF state ON public.chain FOR EACH ROW WHEN (((old.state = 'open'::text) <> (new.state = 'open'::text))) EXECUTE FUNCTION public.signature_request_next_turns();

CREATE TRIGGER competence_changed AFTER INSERT OR DELETE OR UPDATE ON public.competence FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER dossier_note_append_only BEFORE DELETE ON public.dossier_note FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER enrolment_material_append_only BEFORE DELETE OR UPDATE ON public.enrolment_material FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER factor_answer_append_only BEFORE DELETE OR UPDATE ON public.factor_answer FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER handed_back_append_only BEFORE DELETE OR UPDATE ON public.handed_back FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER handed_back_verdict_append_only BEFORE DELETE OR UPDATE ON public.handed_back_verdict FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER holder_page_append_only BEFORE DELETE OR UPDATE ON public.holder_page FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER journal_append_only BEFORE DELETE OR UPDATE ON public.journal FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER key_holder_changed AFTER INSERT OR DELETE OR UPDATE ON public.key_holder FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER key_use_append_only BEFORE DELETE OR UPDATE ON public.key_use FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER key_use_check_append_only BEFORE DELETE OR UPDATE ON public.key_use_check FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER legal_rule_changed AFTER INSERT OR DELETE OR UPDATE ON public.legal_rule FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER number_gap_append_only BEFORE DELETE OR UPDATE ON public.number_gap FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER page_answer_append_only BEFORE DELETE OR UPDATE ON public.page_answer FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER procedure_version_changed AFTER INSERT OR DELETE OR UPDATE ON public.procedure_version FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER rate_limit_changed AFTER INSERT OR DELETE OR UPDATE ON public.rate_limit FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER result_effect_append_only BEFORE DELETE OR UPDATE ON public.result_effect FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER result_link_append_only BEFORE DELETE OR UPDATE ON public.result_link FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER revision_append_only BEFORE DELETE OR UPDATE ON public.revision FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER revision_withdrawal_append_only BEFORE DELETE OR UPDATE ON public.revision_withdrawal FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER service_mode_changed AFTER INSERT OR DELETE OR UPDATE ON public.service_mode FOR EACH STATEMENT EXECUTE FUNCTION public.registry_changed();

CREATE TRIGGER signature_answer_append_only BEFORE DELETE OR UPDATE ON public.signature_answer FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER signature_request_added AFTER INSERT OR DELETE ON public.signature_request FOR EACH ROW EXECUTE FUNCTION public.signature_request_next_turns();

CREATE TRIGGER signature_request_guard BEFORE UPDATE OF state ON public.signature_request FOR EACH ROW EXECUTE FUNCTION public.signature_request_guard();

CREATE TRIGGER signature_request_signed AFTER UPDATE OF state ON public.signature_request FOR EACH ROW WHEN (((old.state = 'recorded'::text) <> (new.state = 'recorded'::text))) EXECUTE FUNCTION public.signature_request_next_turns();

CREATE TRIGGER signature_request_turn BEFORE INSERT OR UPDATE OF state, ready ON public.signature_request FOR EACH ROW EXECUTE FUNCTION public.signature_request_turn();

CREATE TRIGGER signature_value_append_only BEFORE DELETE OR UPDATE ON public.signature_value FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER view_log_append_only BEFORE DELETE OR UPDATE ON public.view_log FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.account_block
    ADD CONSTRAINT account_block_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.account_block
    ADD CONSTRAINT account_block_by_account_id_fkey FOREIGN KEY (by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.account_password
    ADD CONSTRAINT account_password_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.agency_code
    ADD CONSTRAINT agency_code_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.agency_name
    ADD CONSTRAINT agency_name_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.agency
    ADD CONSTRAINT agency_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.agency_site
    ADD CONSTRAINT agency_site_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.agency_succession
    ADD CONSTRAINT agency_succession_predecessor_id_fkey FOREIGN KEY (predecessor_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.agency_succession
    ADD CONSTRAINT agency_succession_successor_id_fkey FOREIGN KEY (successor_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.agency
    ADD CONSTRAINT agency_territory_code_fkey FOREIGN KEY (territory_code) REFERENCES public.territory(code);

ALTER TABLE ONLY public.answer_verdict
    ADD CONSTRAINT answer_verdict_answer_id_fkey FOREIGN KEY (answer_id) REFERENCES public.signature_answer(id);

ALTER TABLE ONLY public.batch_item
    ADD CONSTRAINT batch_item_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.signature_batch(id);

ALTER TABLE ONLY public.batch_item
    ADD CONSTRAINT batch_item_number_id_fkey FOREIGN KEY (number_id) REFERENCES public.number(id);

ALTER TABLE ONLY public.batch_item
    ADD CONSTRAINT batch_item_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.calendar_day
    ADD CONSTRAINT calendar_day_version_fkey FOREIGN KEY (version) REFERENCES public.calendar_version(version);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_named_agency_id_fkey FOREIGN KEY (named_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.certificate
    ADD CONSTRAINT certificate_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.certificate_status
    ADD CONSTRAINT certificate_status_certificate_id_fkey FOREIGN KEY (certificate_id) REFERENCES public.certificate(id);

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id);

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_draft_revision_id_fkey FOREIGN KEY (draft_revision_id) REFERENCES public.revision(id);

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_result_id_fkey FOREIGN KEY (result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_submitted_by_account_id_fkey FOREIGN KEY (submitted_by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.competence
    ADD CONSTRAINT competence_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.competence
    ADD CONSTRAINT competence_procedure_code_fkey FOREIGN KEY (procedure_code) REFERENCES public.procedure(code);

ALTER TABLE ONLY public.competence
    ADD CONSTRAINT competence_procedure_version_id_fkey FOREIGN KEY (procedure_version_id) REFERENCES public.procedure_version(id);

ALTER TABLE ONLY public.competence
    ADD CONSTRAINT competence_territory_code_fkey FOREIGN KEY (territory_code) REFERENCES public.territory(code);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_by_account_id_fkey FOREIGN KEY (by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_result_id_fkey FOREIGN KEY (result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id);

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_head FOREIGN KEY (head_revision_id) REFERENCES public.revision(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_head_sha256_fkey FOREIGN KEY (head_sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_main_document_id_fkey FOREIGN KEY (main_document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.document
    ADD CONSTRAINT document_result_id_fkey FOREIGN KEY (result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.dossier_access
    ADD CONSTRAINT dossier_access_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_calendar_version_fkey FOREIGN KEY (calendar_version) REFERENCES public.calendar_version(version);

ALTER TABLE ONLY public.dossier_code
    ADD CONSTRAINT dossier_code_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_competent_agency_id_fkey FOREIGN KEY (competent_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.dossier_counter
    ADD CONSTRAINT dossier_counter_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.dossier_deadline
    ADD CONSTRAINT dossier_deadline_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier_fee
    ADD CONSTRAINT dossier_fee_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_help_agency_id_fkey FOREIGN KEY (help_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.dossier_link
    ADD CONSTRAINT dossier_link_from_dossier_id_fkey FOREIGN KEY (from_dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier_link
    ADD CONSTRAINT dossier_link_to_dossier_id_fkey FOREIGN KEY (to_dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier_note
    ADD CONSTRAINT dossier_note_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier_part
    ADD CONSTRAINT dossier_part_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier_part
    ADD CONSTRAINT dossier_part_upload FOREIGN KEY (upload_id) REFERENCES public.upload(id);

ALTER TABLE ONLY public.dossier_party
    ADD CONSTRAINT dossier_party_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier_party
    ADD CONSTRAINT dossier_party_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.dossier_pause
    ADD CONSTRAINT dossier_pause_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_procedure_code_fkey FOREIGN KEY (procedure_code) REFERENCES public.procedure(code);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_procedure_version_id_fkey FOREIGN KEY (procedure_version_id) REFERENCES public.procedure_version(id);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_receipt_agency_id_fkey FOREIGN KEY (receipt_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_step_agency_id_fkey FOREIGN KEY (step_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_territory_code_fkey FOREIGN KEY (territory_code) REFERENCES public.territory(code);

ALTER TABLE ONLY public.dossier
    ADD CONSTRAINT dossier_transfer_agency_id_fkey FOREIGN KEY (transfer_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.draft_order
    ADD CONSTRAINT draft_order_base_sha256_fkey FOREIGN KEY (base_sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.draft_order
    ADD CONSTRAINT draft_order_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.draft_order
    ADD CONSTRAINT draft_order_ordered_by_account_id_fkey FOREIGN KEY (ordered_by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.draft_order
    ADD CONSTRAINT draft_order_revision_id_fkey FOREIGN KEY (revision_id) REFERENCES public.revision(id);

ALTER TABLE ONLY public.draft_order
    ADD CONSTRAINT draft_order_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES public.upload(id);

ALTER TABLE ONLY public.enrolment
    ADD CONSTRAINT enrolment_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.enrolment_material
    ADD CONSTRAINT enrolment_material_enrolment_id_fkey FOREIGN KEY (enrolment_id) REFERENCES public.enrolment(id);

ALTER TABLE ONLY public.enrolment_offer
    ADD CONSTRAINT enrolment_offer_enrolment_id_fkey FOREIGN KEY (enrolment_id) REFERENCES public.enrolment(id);

ALTER TABLE ONLY public.enrolment_offer
    ADD CONSTRAINT enrolment_offer_proposal_id_fkey FOREIGN KEY (proposal_id) REFERENCES public.proposal(id);

ALTER TABLE ONLY public.factor_answer
    ADD CONSTRAINT factor_answer_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.factor_answer
    ADD CONSTRAINT factor_answer_enrolment_id_fkey FOREIGN KEY (enrolment_id) REFERENCES public.enrolment(id);

ALTER TABLE ONLY public.factor_answer
    ADD CONSTRAINT factor_answer_post_id_fkey FOREIGN KEY (post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.factor_answer
    ADD CONSTRAINT factor_answer_proposal_id_fkey FOREIGN KEY (proposal_id) REFERENCES public.proposal(id);

ALTER TABLE ONLY public.factor_verdict
    ADD CONSTRAINT factor_verdict_answer_id_fkey FOREIGN KEY (answer_id) REFERENCES public.factor_answer(id);

ALTER TABLE ONLY public.file_check
    ADD CONSTRAINT file_check_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.handed_back
    ADD CONSTRAINT handed_back_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.handed_back
    ADD CONSTRAINT handed_back_file_sha256_fkey FOREIGN KEY (file_sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.handed_back
    ADD CONSTRAINT handed_back_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.handed_back
    ADD CONSTRAINT handed_back_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.holder_transaction(id);

ALTER TABLE ONLY public.handed_back_verdict
    ADD CONSTRAINT handed_back_verdict_handed_id_fkey FOREIGN KEY (handed_id) REFERENCES public.handed_back(id);

ALTER TABLE ONLY public.holder_page
    ADD CONSTRAINT holder_page_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.holder_transaction(id);

ALTER TABLE ONLY public.holder_state
    ADD CONSTRAINT holder_state_name_fkey FOREIGN KEY (name) REFERENCES public.key_holder(name);

ALTER TABLE ONLY public.holder_transaction
    ADD CONSTRAINT holder_transaction_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.signature_batch(id);

ALTER TABLE ONLY public.holder_transaction
    ADD CONSTRAINT holder_transaction_holder_fkey FOREIGN KEY (holder) REFERENCES public.key_holder(name);

ALTER TABLE ONLY public.holder_transaction
    ADD CONSTRAINT holder_transaction_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.journal
    ADD CONSTRAINT journal_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.key_use_check
    ADD CONSTRAINT key_use_check_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.holder_transaction(id);

ALTER TABLE ONLY public.key_use
    ADD CONSTRAINT key_use_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.key_use
    ADD CONSTRAINT key_use_transaction_id_fkey FOREIGN KEY (transaction_id) REFERENCES public.holder_transaction(id);

ALTER TABLE ONLY public.level_debt
    ADD CONSTRAINT level_debt_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.level_debt
    ADD CONSTRAINT level_debt_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.level_debt
    ADD CONSTRAINT level_debt_revision_id_fkey FOREIGN KEY (revision_id) REFERENCES public.revision(id);

ALTER TABLE ONLY public.level_debt
    ADD CONSTRAINT level_debt_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.mandate
    ADD CONSTRAINT mandate_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.mandate
    ADD CONSTRAINT mandate_given_by_post_id_fkey FOREIGN KEY (given_by_post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.mandate
    ADD CONSTRAINT mandate_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.mandate
    ADD CONSTRAINT mandate_post_id_fkey FOREIGN KEY (post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.number_counter
    ADD CONSTRAINT number_counter_series_id_fkey FOREIGN KEY (series_id) REFERENCES public.number_series(id);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.number_gap
    ADD CONSTRAINT number_gap_series_id_fkey FOREIGN KEY (series_id) REFERENCES public.number_series(id);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_request FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.number_series
    ADD CONSTRAINT number_series_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.number
    ADD CONSTRAINT number_series_id_fkey FOREIGN KEY (series_id) REFERENCES public.number_series(id);

ALTER TABLE ONLY public.official
    ADD CONSTRAINT official_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.page_answer
    ADD CONSTRAINT page_answer_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.page_answer
    ADD CONSTRAINT page_answer_state_fkey FOREIGN KEY (state) REFERENCES public.holder_page(state);

ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT passkey_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.passkey_nonce
    ADD CONSTRAINT passkey_nonce_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.person_private
    ADD CONSTRAINT person_private_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.post
    ADD CONSTRAINT post_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.post_holding
    ADD CONSTRAINT post_holding_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.post_holding
    ADD CONSTRAINT post_holding_post_id_fkey FOREIGN KEY (post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.preparation
    ADD CONSTRAINT preparation_base_sha256_fkey FOREIGN KEY (base_sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.preparation
    ADD CONSTRAINT preparation_certificate_id_fkey FOREIGN KEY (certificate_id) REFERENCES public.certificate(id);

ALTER TABLE ONLY public.preparation
    ADD CONSTRAINT preparation_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.print_order
    ADD CONSTRAINT print_order_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.print_order
    ADD CONSTRAINT print_order_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.print_order
    ADD CONSTRAINT print_order_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.procedure_version
    ADD CONSTRAINT procedure_version_code_fkey FOREIGN KEY (code) REFERENCES public.procedure(code);

ALTER TABLE ONLY public.proposal
    ADD CONSTRAINT proposal_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.proposal
    ADD CONSTRAINT proposal_proposed_by_account_id_fkey FOREIGN KEY (proposed_by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.proposal
    ADD CONSTRAINT proposal_subject_account_id_fkey FOREIGN KEY (subject_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.rate_limit
    ADD CONSTRAINT rate_limit_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.rendition
    ADD CONSTRAINT rendition_revision_id_fkey FOREIGN KEY (revision_id) REFERENCES public.revision(id);

ALTER TABLE ONLY public.rendition
    ADD CONSTRAINT rendition_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.result
    ADD CONSTRAINT result_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id);

ALTER TABLE ONLY public.result_effect
    ADD CONSTRAINT result_effect_by_account_id_fkey FOREIGN KEY (by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.result_effect
    ADD CONSTRAINT result_effect_result_id_fkey FOREIGN KEY (result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.result_link
    ADD CONSTRAINT result_link_by_account_id_fkey FOREIGN KEY (by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.result_link
    ADD CONSTRAINT result_link_from_result_id_fkey FOREIGN KEY (from_result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.result_link
    ADD CONSTRAINT result_link_to_result_id_fkey FOREIGN KEY (to_result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_author_account_id_fkey FOREIGN KEY (author_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_base_sha256_fkey FOREIGN KEY (base_sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_request FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.revision
    ADD CONSTRAINT revision_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.revision_withdrawal
    ADD CONSTRAINT revision_withdrawal_by_account_id_fkey FOREIGN KEY (by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.revision_withdrawal
    ADD CONSTRAINT revision_withdrawal_revision_id_fkey FOREIGN KEY (revision_id) REFERENCES public.revision(id);

ALTER TABLE ONLY public.second_factor
    ADD CONSTRAINT second_factor_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_post_id_fkey FOREIGN KEY (post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.signature_batch
    ADD CONSTRAINT signature_batch_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.signature_batch
    ADD CONSTRAINT signature_batch_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.signature_batch
    ADD CONSTRAINT signature_batch_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.signature_batch
    ADD CONSTRAINT signature_batch_post_id_fkey FOREIGN KEY (post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.signature_batch(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_certificate_id_fkey FOREIGN KEY (certificate_id) REFERENCES public.certificate(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_chain_id_fkey FOREIGN KEY (chain_id) REFERENCES public.chain(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_document_id_fkey FOREIGN KEY (document_id) REFERENCES public.document(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_mandate_id_fkey FOREIGN KEY (mandate_id) REFERENCES public.mandate(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_number_id_fkey FOREIGN KEY (number_id) REFERENCES public.number(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_person_id_fkey FOREIGN KEY (person_id) REFERENCES public.person(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_post_id_fkey FOREIGN KEY (post_id) REFERENCES public.post(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_predecessor_id_fkey FOREIGN KEY (predecessor_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.signature_request
    ADD CONSTRAINT signature_request_result_id_fkey FOREIGN KEY (result_id) REFERENCES public.result(id);

ALTER TABLE ONLY public.signature_value
    ADD CONSTRAINT signature_value_request_id_fkey FOREIGN KEY (request_id) REFERENCES public.signature_request(id);

ALTER TABLE ONLY public.step_up
    ADD CONSTRAINT step_up_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.step_up
    ADD CONSTRAINT step_up_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES public.signature_batch(id);

ALTER TABLE ONLY public.step_up_verdict
    ADD CONSTRAINT step_up_verdict_step_up_id_fkey FOREIGN KEY (step_up_id) REFERENCES public.step_up(id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_agency_id_fkey FOREIGN KEY (agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_asked_by_account_id_fkey FOREIGN KEY (asked_by_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_asked_by_agency_id_fkey FOREIGN KEY (asked_by_agency_id) REFERENCES public.agency(id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_assignee_account_id_fkey FOREIGN KEY (assignee_account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.task
    ADD CONSTRAINT task_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.territory
    ADD CONSTRAINT territory_parent_code_fkey FOREIGN KEY (parent_code) REFERENCES public.territory(code);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_accepted_sha256_fkey FOREIGN KEY (accepted_sha256) REFERENCES public.blob(sha256);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.account(id);

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_dossier_id_fkey FOREIGN KEY (dossier_id) REFERENCES public.dossier(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.upload
    ADD CONSTRAINT upload_sha256_fkey FOREIGN KEY (sha256) REFERENCES public.blob(sha256);

GRANT USAGE ON SCHEMA public TO app;
GRANT USAGE ON SCHEMA public TO signer;
GRANT USAGE ON SCHEMA public TO worker;

GRANT SELECT ON TABLE public.batch_item TO app;
GRANT SELECT ON TABLE public.batch_item TO signer;
GRANT SELECT ON TABLE public.batch_item TO worker;

GRANT INSERT(batch_id) ON TABLE public.batch_item TO app;

GRANT INSERT(ordinal) ON TABLE public.batch_item TO app;

GRANT INSERT(request_id) ON TABLE public.batch_item TO app;

GRANT INSERT(shown_sha256) ON TABLE public.batch_item TO app;

GRANT INSERT(number_id) ON TABLE public.batch_item TO app;
GRANT UPDATE(number_id) ON TABLE public.batch_item TO signer;

GRANT UPDATE(outcome) ON TABLE public.batch_item TO signer;
GRANT UPDATE(outcome) ON TABLE public.batch_item TO app;

GRANT UPDATE(detail) ON TABLE public.batch_item TO signer;
GRANT UPDATE(detail) ON TABLE public.batch_item TO app;

GRANT UPDATE(ended_at) ON TABLE public.batch_item TO signer;
GRANT UPDATE(ended_at) ON TABLE public.batch_item TO app;

GRANT SELECT,INSERT ON TABLE public.document TO app;
GRANT SELECT ON TABLE public.document TO signer;
GRANT SELECT ON TABLE public.document TO worker;

GRANT UPDATE(head_revision_id) ON TABLE public.document TO signer;
GRANT UPDATE(head_revision_id) ON TABLE public.document TO worker;

GRANT UPDATE(head_sha256) ON TABLE public.document TO signer;
GRANT UPDATE(head_sha256) ON TABLE public.document TO worker;

GRANT UPDATE(version) ON TABLE public.document TO signer;
GRANT UPDATE(version) ON TABLE public.document TO worker;
GRANT UPDATE(version) ON TABLE public.document TO app;

GRANT SELECT,INSERT ON TABLE public.number TO app;
GRANT SELECT,INSERT ON TABLE public.number TO signer;
GRANT SELECT ON TABLE public.number TO worker;

GRANT UPDATE(state) ON TABLE public.number TO app;
GRANT UPDATE(state) ON TABLE public.number TO signer;

GRANT UPDATE(request_id) ON TABLE public.number TO app;
GRANT UPDATE(request_id) ON TABLE public.number TO signer;

GRANT UPDATE(reason) ON TABLE public.number TO app;
GRANT UPDATE(reason) ON TABLE public.number TO signer;

GRANT UPDATE(settled_at) ON TABLE public.number TO app;
GRANT UPDATE(settled_at) ON TABLE public.number TO signer;

REVOKE ALL ON FUNCTION public.annex_number(of_document uuid, in_batch uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.annex_number(of_document uuid, in_batch uuid) TO app;
GRANT ALL ON FUNCTION public.annex_number(of_document uuid, in_batch uuid) TO signer;

GRANT SELECT,INSERT ON TABLE public.chain TO app;
GRANT SELECT ON TABLE public.chain TO signer;
GRANT SELECT ON TABLE public.chain TO worker;

GRANT UPDATE(state) ON TABLE public.chain TO app;
GRANT UPDATE(state) ON TABLE public.chain TO signer;
GRANT UPDATE(state) ON TABLE public.chain TO worker;

GRANT UPDATE(plan) ON TABLE public.chain TO signer;
GRANT UPDATE(plan) ON TABLE public.chain TO worker;

GRANT UPDATE(closed_at) ON TABLE public.chain TO app;
GRANT UPDATE(closed_at) ON TABLE public.chain TO signer;
GRANT UPDATE(closed_at) ON TABLE public.chain TO worker;

GRANT UPDATE(error) ON TABLE public.chain TO signer;
GRANT UPDATE(error) ON TABLE public.chain TO worker;

GRANT SELECT ON TABLE public.signature_request TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.signature_request TO signer;
GRANT SELECT ON TABLE public.signature_request TO worker;

GRANT INSERT(chain_id) ON TABLE public.signature_request TO app;

GRANT INSERT(document_id) ON TABLE public.signature_request TO app;

GRANT INSERT(dossier_id) ON TABLE public.signature_request TO app;

GRANT INSERT(result_id) ON TABLE public.signature_request TO app;

GRANT INSERT(group_no) ON TABLE public.signature_request TO app;

GRANT INSERT(ordinal) ON TABLE public.signature_request TO app;

GRANT INSERT(role) ON TABLE public.signature_request TO app;

GRANT INSERT(pdf_signature) ON TABLE public.signature_request TO app;

GRANT INSERT(act) ON TABLE public.signature_request TO app;

GRANT INSERT(field) ON TABLE public.signature_request TO app;
GRANT UPDATE(field) ON TABLE public.signature_request TO worker;

GRANT UPDATE(state) ON TABLE public.signature_request TO app;

GRANT UPDATE(version) ON TABLE public.signature_request TO app;

GRANT INSERT(person_id) ON TABLE public.signature_request TO app;

GRANT INSERT(post_id) ON TABLE public.signature_request TO app;

GRANT INSERT(agency_id) ON TABLE public.signature_request TO app;

GRANT INSERT(capacity) ON TABLE public.signature_request TO app;

GRANT INSERT(title_lines) ON TABLE public.signature_request TO app;

GRANT INSERT(mandate_id) ON TABLE public.signature_request TO app;

GRANT INSERT(holder) ON TABLE public.signature_request TO app;

GRANT INSERT(certificate_id) ON TABLE public.signature_request TO app;

GRANT INSERT(certificate_serial) ON TABLE public.signature_request TO app;

GRANT INSERT(placement) ON TABLE public.signature_request TO app;
GRANT UPDATE(placement) ON TABLE public.signature_request TO worker;

GRANT INSERT(due_at),UPDATE(due_at) ON TABLE public.signature_request TO app;

GRANT INSERT(lane),UPDATE(lane) ON TABLE public.signature_request TO app;

GRANT INSERT(predecessor_id) ON TABLE public.signature_request TO app;

GRANT UPDATE(batch_id) ON TABLE public.signature_request TO app;

GRANT UPDATE(reason) ON TABLE public.signature_request TO app;

GRANT INSERT(created_at) ON TABLE public.signature_request TO app;

GRANT INSERT(state_at),UPDATE(state_at) ON TABLE public.signature_request TO app;

REVOKE ALL ON FUNCTION public.annex_waits(of_chain uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION public.annex_waits(of_chain uuid) TO app;
GRANT ALL ON FUNCTION public.annex_waits(of_chain uuid) TO signer;
GRANT ALL ON FUNCTION public.annex_waits(of_chain uuid) TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.timestamp_authority TO signer;
GRANT SELECT ON TABLE public.timestamp_authority TO app;
GRANT SELECT ON TABLE public.timestamp_authority TO worker;

REVOKE ALL ON FUNCTION public.timestamp_expected(wanted bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION public.timestamp_expected(wanted bigint) TO app;
GRANT ALL ON FUNCTION public.timestamp_expected(wanted bigint) TO signer;
GRANT ALL ON FUNCTION public.timestamp_expected(wanted bigint) TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.level_debt TO signer;
GRANT SELECT ON TABLE public.level_debt TO app;
GRANT SELECT ON TABLE public.level_debt TO worker;

REVOKE ALL ON FUNCTION public.level_expected(due timestamp with time zone, of_revision uuid, try_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION public.level_expected(due timestamp with time zone, of_revision uuid, try_at timestamp with time zone) TO app;
GRANT ALL ON FUNCTION public.level_expected(due timestamp with time zone, of_revision uuid, try_at timestamp with time zone) TO signer;
GRANT ALL ON FUNCTION public.level_expected(due timestamp with time zone, of_revision uuid, try_at timestamp with time zone) TO worker;

REVOKE ALL ON FUNCTION public.signature_request_waits(of_chain uuid, of_group smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION public.signature_request_waits(of_chain uuid, of_group smallint) TO app;
GRANT ALL ON FUNCTION public.signature_request_waits(of_chain uuid, of_group smallint) TO signer;
GRANT ALL ON FUNCTION public.signature_request_waits(of_chain uuid, of_group smallint) TO worker;

REVOKE ALL ON FUNCTION public.signature_request_ready(in_state text, of_chain uuid, of_group smallint) FROM PUBLIC;
GRANT ALL ON FUNCTION public.signature_request_ready(in_state text, of_chain uuid, of_group smallint) TO app;
GRANT ALL ON FUNCTION public.signature_request_ready(in_state text, of_chain uuid, of_group smallint) TO signer;
GRANT ALL ON FUNCTION public.signature_request_ready(in_state text, of_chain uuid, of_group smallint) TO worker;

REVOKE ALL ON FUNCTION public.signature_requests_after(of_chain uuid, of_document uuid, after_group smallint) FROM PUBLIC;

REVOKE ALL ON FUNCTION public.take_intent(whose text, where_to text, by_key text, OUT mine boolean, OUT body_sha256 bytea, OUT status smallint, OUT answer json) FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_intent(whose text, where_to text, by_key text, OUT mine boolean, OUT body_sha256 bytea, OUT status smallint, OUT answer json) TO app;

GRANT SELECT ON TABLE public.account TO app;
GRANT SELECT,INSERT ON TABLE public.account TO signer;
GRANT SELECT ON TABLE public.account TO worker;

GRANT UPDATE(state) ON TABLE public.account TO signer;

GRANT SELECT ON TABLE public.account_block TO app;
GRANT SELECT ON TABLE public.account_block TO signer;

GRANT SELECT(id) ON TABLE public.account_block TO worker;

GRANT INSERT(account_id) ON TABLE public.account_block TO app;
GRANT SELECT(account_id) ON TABLE public.account_block TO worker;

GRANT INSERT(what) ON TABLE public.account_block TO app;
GRANT SELECT(what) ON TABLE public.account_block TO worker;

GRANT INSERT(reason) ON TABLE public.account_block TO app;

GRANT INSERT(by_account_id) ON TABLE public.account_block TO app;

GRANT SELECT(at) ON TABLE public.account_block TO worker;

GRANT UPDATE(lifted_at) ON TABLE public.account_block TO signer;
GRANT SELECT(lifted_at) ON TABLE public.account_block TO worker;

GRANT SELECT ON TABLE public.account_password TO app;

GRANT INSERT(account_id) ON TABLE public.account_password TO app;

GRANT INSERT(argon2),UPDATE(argon2) ON TABLE public.account_password TO app;

GRANT INSERT(changed_at),UPDATE(changed_at) ON TABLE public.account_password TO app;

GRANT INSERT(one_time_until),UPDATE(one_time_until) ON TABLE public.account_password TO app;

GRANT SELECT ON TABLE public.agency TO app;
GRANT SELECT ON TABLE public.agency TO signer;
GRANT SELECT ON TABLE public.agency TO worker;

GRANT SELECT ON TABLE public.agency_code TO app;
GRANT SELECT ON TABLE public.agency_code TO signer;
GRANT SELECT ON TABLE public.agency_code TO worker;

GRANT SELECT ON TABLE public.agency_name TO app;
GRANT SELECT ON TABLE public.agency_name TO signer;
GRANT SELECT ON TABLE public.agency_name TO worker;

GRANT SELECT ON TABLE public.agency_site TO app;
GRANT SELECT ON TABLE public.agency_site TO signer;
GRANT SELECT ON TABLE public.agency_site TO worker;

GRANT SELECT ON TABLE public.agency_succession TO app;
GRANT SELECT ON TABLE public.agency_succession TO signer;
GRANT SELECT ON TABLE public.agency_succession TO worker;

GRANT SELECT,INSERT ON TABLE public.answer_verdict TO signer;

GRANT SELECT,INSERT ON TABLE public.audit TO app;
GRANT SELECT,INSERT ON TABLE public.audit TO signer;
GRANT SELECT,INSERT ON TABLE public.audit TO worker;

GRANT SELECT,INSERT ON TABLE public.audit_chain TO worker;

GRANT SELECT,INSERT ON TABLE public.audit_checkpoint TO worker;

GRANT SELECT,INSERT ON TABLE public.audit_key TO worker;

GRANT SELECT,INSERT ON TABLE public.blob TO app;
GRANT SELECT,INSERT ON TABLE public.blob TO signer;
GRANT SELECT,INSERT,DELETE ON TABLE public.blob TO worker;

GRANT UPDATE(missing_since) ON TABLE public.blob TO worker;

GRANT SELECT,INSERT ON TABLE public.calendar_day TO app;
GRANT SELECT ON TABLE public.calendar_day TO signer;
GRANT SELECT ON TABLE public.calendar_day TO worker;

GRANT SELECT,INSERT ON TABLE public.calendar_version TO app;
GRANT SELECT ON TABLE public.calendar_version TO signer;
GRANT SELECT ON TABLE public.calendar_version TO worker;

GRANT SELECT ON TABLE public.certificate TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.certificate TO signer;
GRANT SELECT ON TABLE public.certificate TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.certificate_status TO signer;
GRANT SELECT ON TABLE public.certificate_status TO app;
GRANT SELECT ON TABLE public.certificate_status TO worker;

GRANT SELECT,INSERT ON TABLE public.competence TO app;
GRANT SELECT ON TABLE public.competence TO signer;
GRANT SELECT ON TABLE public.competence TO worker;

GRANT UPDATE(valid_to) ON TABLE public.competence TO app;

GRANT SELECT,INSERT,UPDATE ON TABLE public.delivery TO app;
GRANT SELECT ON TABLE public.delivery TO signer;
GRANT SELECT ON TABLE public.delivery TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier TO app;
GRANT SELECT,UPDATE ON TABLE public.dossier TO signer;
GRANT SELECT,UPDATE ON TABLE public.dossier TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier_access TO app;
GRANT SELECT ON TABLE public.dossier_access TO signer;
GRANT SELECT ON TABLE public.dossier_access TO worker;

GRANT SELECT,INSERT ON TABLE public.dossier_code TO app;
GRANT SELECT ON TABLE public.dossier_code TO signer;
GRANT SELECT ON TABLE public.dossier_code TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier_counter TO app;
GRANT SELECT ON TABLE public.dossier_counter TO signer;
GRANT SELECT ON TABLE public.dossier_counter TO worker;

GRANT SELECT,INSERT ON TABLE public.dossier_deadline TO app;
GRANT SELECT,INSERT ON TABLE public.dossier_deadline TO signer;
GRANT SELECT,INSERT ON TABLE public.dossier_deadline TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier_fee TO app;
GRANT SELECT ON TABLE public.dossier_fee TO signer;
GRANT SELECT ON TABLE public.dossier_fee TO worker;

GRANT SELECT,INSERT ON TABLE public.dossier_link TO app;
GRANT SELECT ON TABLE public.dossier_link TO signer;
GRANT SELECT ON TABLE public.dossier_link TO worker;

GRANT SELECT,INSERT ON TABLE public.dossier_note TO app;
GRANT SELECT,INSERT ON TABLE public.dossier_note TO signer;
GRANT SELECT,INSERT ON TABLE public.dossier_note TO worker;

GRANT UPDATE(text_sealed) ON TABLE public.dossier_note TO worker;

GRANT SELECT,INSERT ON TABLE public.dossier_part TO app;
GRANT SELECT ON TABLE public.dossier_part TO signer;
GRANT SELECT ON TABLE public.dossier_part TO worker;

GRANT UPDATE(upload_id) ON TABLE public.dossier_part TO app;
GRANT UPDATE(upload_id) ON TABLE public.dossier_part TO worker;

GRANT UPDATE(given_back_at) ON TABLE public.dossier_part TO app;
GRANT UPDATE(given_back_at) ON TABLE public.dossier_part TO worker;

GRANT SELECT,INSERT ON TABLE public.dossier_party TO app;
GRANT SELECT ON TABLE public.dossier_party TO signer;
GRANT SELECT ON TABLE public.dossier_party TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier_pause TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier_pause TO signer;
GRANT SELECT,INSERT,UPDATE ON TABLE public.dossier_pause TO worker;

GRANT SELECT,INSERT ON TABLE public.draft_order TO app;
GRANT SELECT ON TABLE public.draft_order TO worker;

GRANT UPDATE(data_sealed) ON TABLE public.draft_order TO worker;

GRANT UPDATE(state) ON TABLE public.draft_order TO worker;

GRANT UPDATE(revision_id) ON TABLE public.draft_order TO worker;

GRANT UPDATE(error) ON TABLE public.draft_order TO worker;

GRANT UPDATE(done_at) ON TABLE public.draft_order TO worker;

GRANT SELECT ON TABLE public.enrolment TO app;
GRANT SELECT ON TABLE public.enrolment TO signer;

GRANT INSERT(id) ON TABLE public.enrolment TO app;

GRANT INSERT(account_id) ON TABLE public.enrolment TO app;

GRANT INSERT(kind) ON TABLE public.enrolment TO app;

GRANT SELECT ON TABLE public.enrolment_material TO app;
GRANT SELECT ON TABLE public.enrolment_material TO signer;

GRANT INSERT(enrolment_id) ON TABLE public.enrolment_material TO app;

GRANT INSERT(public_part) ON TABLE public.enrolment_material TO app;

GRANT INSERT(client_data) ON TABLE public.enrolment_material TO app;

GRANT SELECT,INSERT ON TABLE public.enrolment_offer TO signer;

GRANT SELECT(enrolment_id) ON TABLE public.enrolment_offer TO app;

GRANT SELECT(proposal_id) ON TABLE public.enrolment_offer TO app;

GRANT UPDATE(secret_sealed) ON TABLE public.enrolment_offer TO signer;

GRANT SELECT(handed) ON TABLE public.enrolment_offer TO app;
GRANT UPDATE(handed) ON TABLE public.enrolment_offer TO signer;

GRANT SELECT(tries) ON TABLE public.enrolment_offer TO app;
GRANT UPDATE(tries) ON TABLE public.enrolment_offer TO signer;

GRANT SELECT(made_at) ON TABLE public.enrolment_offer TO app;

GRANT SELECT(expires_at) ON TABLE public.enrolment_offer TO app;

GRANT SELECT(outcome) ON TABLE public.enrolment_offer TO app;
GRANT UPDATE(outcome) ON TABLE public.enrolment_offer TO signer;

GRANT SELECT(ended_at) ON TABLE public.enrolment_offer TO app;
GRANT UPDATE(ended_at) ON TABLE public.enrolment_offer TO signer;

GRANT SELECT ON TABLE public.factor_answer TO signer;

GRANT SELECT(id),INSERT(id) ON TABLE public.factor_answer TO app;

GRANT SELECT(purpose),INSERT(purpose) ON TABLE public.factor_answer TO app;

GRANT SELECT(proposal_id),INSERT(proposal_id) ON TABLE public.factor_answer TO app;

GRANT SELECT(enrolment_id),INSERT(enrolment_id) ON TABLE public.factor_answer TO app;

GRANT SELECT(account_id),INSERT(account_id) ON TABLE public.factor_answer TO app;

GRANT SELECT(post_id),INSERT(post_id) ON TABLE public.factor_answer TO app;

GRANT SELECT(kind),INSERT(kind) ON TABLE public.factor_answer TO app;

GRANT INSERT(response) ON TABLE public.factor_answer TO app;

GRANT INSERT(digest) ON TABLE public.factor_answer TO app;

GRANT SELECT(offered_at) ON TABLE public.factor_answer TO app;

GRANT SELECT ON TABLE public.factor_verdict TO app;
GRANT SELECT,INSERT ON TABLE public.factor_verdict TO signer;

GRANT SELECT,INSERT ON TABLE public.file_check TO app;
GRANT SELECT,DELETE ON TABLE public.file_check TO worker;

GRANT UPDATE(state) ON TABLE public.file_check TO worker;

GRANT UPDATE(report) ON TABLE public.file_check TO worker;

GRANT UPDATE(done_at) ON TABLE public.file_check TO worker;

GRANT SELECT ON TABLE public.handed_back TO app;
GRANT SELECT ON TABLE public.handed_back TO signer;

GRANT INSERT(transaction_id) ON TABLE public.handed_back TO app;

GRANT INSERT(request_id) ON TABLE public.handed_back TO app;

GRANT INSERT(content_sha256) ON TABLE public.handed_back TO app;

GRANT INSERT(value) ON TABLE public.handed_back TO app;

GRANT INSERT(certificate) ON TABLE public.handed_back TO app;

GRANT SELECT(file_sha256) ON TABLE public.handed_back TO worker;
GRANT INSERT(file_sha256) ON TABLE public.handed_back TO app;

GRANT INSERT(account_id) ON TABLE public.handed_back TO app;

GRANT SELECT ON TABLE public.handed_back_verdict TO app;
GRANT SELECT,INSERT ON TABLE public.handed_back_verdict TO signer;

GRANT SELECT ON TABLE public.held_result TO app;
GRANT SELECT ON TABLE public.held_result TO worker;
GRANT SELECT ON TABLE public.held_result TO signer;

GRANT SELECT ON TABLE public.holder_page TO app;
GRANT SELECT,INSERT ON TABLE public.holder_page TO signer;

GRANT SELECT ON TABLE public.holder_state TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.holder_state TO signer;

GRANT SELECT ON TABLE public.holder_transaction TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.holder_transaction TO signer;
GRANT SELECT ON TABLE public.holder_transaction TO worker;

GRANT SELECT,INSERT,DELETE ON TABLE public.idempotency TO app;
GRANT SELECT,DELETE ON TABLE public.idempotency TO worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_claim TO signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.job_claim TO worker;
GRANT SELECT ON TABLE public.job_claim TO app;

GRANT SELECT,INSERT ON TABLE public.journal TO app;
GRANT SELECT,INSERT ON TABLE public.journal TO signer;
GRANT SELECT,INSERT ON TABLE public.journal TO worker;

GRANT SELECT ON TABLE public.key_holder TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.key_holder TO signer;
GRANT SELECT ON TABLE public.key_holder TO worker;

GRANT SELECT,INSERT ON TABLE public.key_use TO signer;
GRANT SELECT ON TABLE public.key_use TO app;
GRANT SELECT ON TABLE public.key_use TO worker;

GRANT SELECT ON TABLE public.key_use_check TO app;
GRANT SELECT,INSERT ON TABLE public.key_use_check TO signer;
GRANT SELECT ON TABLE public.key_use_check TO worker;

GRANT SELECT,INSERT ON TABLE public.legal_rule TO app;
GRANT SELECT ON TABLE public.legal_rule TO signer;
GRANT SELECT ON TABLE public.legal_rule TO worker;

GRANT UPDATE(valid_to) ON TABLE public.legal_rule TO app;

GRANT SELECT,INSERT ON TABLE public.login_attempt TO app;
GRANT SELECT,DELETE ON TABLE public.login_attempt TO worker;

GRANT SELECT ON TABLE public.mandate TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.mandate TO signer;
GRANT SELECT ON TABLE public.mandate TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.number_counter TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.number_counter TO signer;
GRANT SELECT ON TABLE public.number_counter TO worker;

GRANT SELECT ON TABLE public.number_gap TO app;
GRANT SELECT ON TABLE public.number_gap TO signer;
GRANT SELECT ON TABLE public.number_gap TO worker;

GRANT SELECT,INSERT ON TABLE public.number_series TO app;
GRANT SELECT ON TABLE public.number_series TO signer;
GRANT SELECT ON TABLE public.number_series TO worker;

GRANT SELECT ON TABLE public.official TO app;
GRANT SELECT,INSERT ON TABLE public.official TO signer;
GRANT SELECT ON TABLE public.official TO worker;

GRANT SELECT ON TABLE public.page_answer TO app;
GRANT SELECT ON TABLE public.page_answer TO signer;

GRANT INSERT(state) ON TABLE public.page_answer TO app;

GRANT INSERT(code) ON TABLE public.page_answer TO app;

GRANT INSERT(error) ON TABLE public.page_answer TO app;

GRANT INSERT(issuer) ON TABLE public.page_answer TO app;

GRANT INSERT(account_id) ON TABLE public.page_answer TO app;

GRANT SELECT,INSERT ON TABLE public.passkey TO signer;

GRANT SELECT(id) ON TABLE public.passkey TO app;
GRANT SELECT(id) ON TABLE public.passkey TO worker;

GRANT SELECT(account_id) ON TABLE public.passkey TO app;
GRANT SELECT(account_id) ON TABLE public.passkey TO worker;

GRANT SELECT(credential_id) ON TABLE public.passkey TO app;

GRANT UPDATE(sign_count) ON TABLE public.passkey TO signer;

GRANT UPDATE(failures) ON TABLE public.passkey TO signer;

GRANT UPDATE(last_failure_at) ON TABLE public.passkey TO signer;

GRANT SELECT(enrolled_at) ON TABLE public.passkey TO app;

GRANT SELECT(revoked_at) ON TABLE public.passkey TO app;
GRANT UPDATE(revoked_at) ON TABLE public.passkey TO signer;
GRANT SELECT(revoked_at) ON TABLE public.passkey TO worker;

GRANT SELECT,INSERT,DELETE ON TABLE public.passkey_nonce TO signer;

GRANT SELECT,INSERT ON TABLE public.person TO app;
GRANT SELECT,INSERT ON TABLE public.person TO signer;
GRANT SELECT,INSERT ON TABLE public.person TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.person_private TO app;
GRANT SELECT,INSERT ON TABLE public.person_private TO signer;
GRANT SELECT,INSERT ON TABLE public.person_private TO worker;

GRANT UPDATE(key_id) ON TABLE public.person_private TO worker;

GRANT UPDATE(name_sealed) ON TABLE public.person_private TO worker;

GRANT UPDATE(name_fingerprint) ON TABLE public.person_private TO worker;

GRANT UPDATE(id_number_sealed) ON TABLE public.person_private TO worker;

GRANT UPDATE(id_number_fingerprint) ON TABLE public.person_private TO worker;

GRANT UPDATE(contact_sealed) ON TABLE public.person_private TO worker;

GRANT UPDATE(phone_fingerprint) ON TABLE public.person_private TO worker;

GRANT UPDATE(details_sealed) ON TABLE public.person_private TO worker;

GRANT SELECT,INSERT ON TABLE public.pgqueuer TO app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer TO signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer TO worker;

GRANT USAGE ON SEQUENCE public.pgqueuer_id_seq TO app;
GRANT USAGE ON SEQUENCE public.pgqueuer_id_seq TO signer;
GRANT USAGE ON SEQUENCE public.pgqueuer_id_seq TO worker;

GRANT SELECT,INSERT ON TABLE public.pgqueuer_log TO app;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer_log TO signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer_log TO worker;

GRANT USAGE ON SEQUENCE public.pgqueuer_log_id_seq TO app;
GRANT USAGE ON SEQUENCE public.pgqueuer_log_id_seq TO signer;
GRANT USAGE ON SEQUENCE public.pgqueuer_log_id_seq TO worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer_schedules TO signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer_schedules TO worker;

GRANT USAGE ON SEQUENCE public.pgqueuer_schedules_id_seq TO app;
GRANT USAGE ON SEQUENCE public.pgqueuer_schedules_id_seq TO signer;
GRANT USAGE ON SEQUENCE public.pgqueuer_schedules_id_seq TO worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer_statistics TO signer;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pgqueuer_statistics TO worker;

GRANT USAGE ON SEQUENCE public.pgqueuer_statistics_id_seq TO app;
GRANT USAGE ON SEQUENCE public.pgqueuer_statistics_id_seq TO signer;
GRANT USAGE ON SEQUENCE public.pgqueuer_statistics_id_seq TO worker;

GRANT SELECT ON TABLE public.post TO app;
GRANT SELECT,INSERT ON TABLE public.post TO signer;
GRANT SELECT ON TABLE public.post TO worker;

GRANT SELECT ON TABLE public.post_holding TO app;
GRANT SELECT,INSERT ON TABLE public.post_holding TO signer;
GRANT SELECT ON TABLE public.post_holding TO worker;

GRANT UPDATE(valid_to) ON TABLE public.post_holding TO signer;

GRANT SELECT,INSERT ON TABLE public.preparation TO signer;

GRANT SELECT(request_id) ON TABLE public.preparation TO worker;

GRANT SELECT(attempt) ON TABLE public.preparation TO worker;

GRANT SELECT(prepared_at) ON TABLE public.preparation TO worker;

GRANT SELECT,INSERT ON TABLE public.print_order TO app;
GRANT SELECT,DELETE ON TABLE public.print_order TO worker;

GRANT UPDATE(data_sealed) ON TABLE public.print_order TO worker;

GRANT UPDATE(state) ON TABLE public.print_order TO worker;

GRANT UPDATE(sha256) ON TABLE public.print_order TO worker;

GRANT UPDATE(error) ON TABLE public.print_order TO worker;

GRANT UPDATE(done_at) ON TABLE public.print_order TO worker;

GRANT SELECT,INSERT ON TABLE public.procedure TO app;
GRANT SELECT ON TABLE public.procedure TO signer;
GRANT SELECT ON TABLE public.procedure TO worker;

GRANT SELECT,INSERT ON TABLE public.procedure_version TO app;
GRANT SELECT ON TABLE public.procedure_version TO signer;
GRANT SELECT ON TABLE public.procedure_version TO worker;

GRANT UPDATE(valid_to) ON TABLE public.procedure_version TO app;

GRANT SELECT ON TABLE public.proposal TO signer;

GRANT SELECT(id),INSERT(id) ON TABLE public.proposal TO app;
GRANT SELECT(id) ON TABLE public.proposal TO worker;

GRANT SELECT(kind),INSERT(kind) ON TABLE public.proposal TO app;

GRANT SELECT(agency_id),INSERT(agency_id) ON TABLE public.proposal TO app;

GRANT SELECT(subject_account_id),INSERT(subject_account_id) ON TABLE public.proposal TO app;

GRANT SELECT(content_sealed),INSERT(content_sealed) ON TABLE public.proposal TO app;
GRANT SELECT(content_sealed),UPDATE(content_sealed) ON TABLE public.proposal TO worker;

GRANT SELECT(digest),INSERT(digest) ON TABLE public.proposal TO app;

GRANT SELECT(state) ON TABLE public.proposal TO app;
GRANT UPDATE(state) ON TABLE public.proposal TO signer;

GRANT SELECT(why) ON TABLE public.proposal TO app;
GRANT UPDATE(why) ON TABLE public.proposal TO signer;

GRANT SELECT(proposed_by_account_id),INSERT(proposed_by_account_id) ON TABLE public.proposal TO app;

GRANT SELECT(created_at) ON TABLE public.proposal TO app;

GRANT SELECT(decided_at) ON TABLE public.proposal TO app;
GRANT UPDATE(decided_at) ON TABLE public.proposal TO signer;

GRANT SELECT(made_id) ON TABLE public.proposal TO app;
GRANT UPDATE(made_id) ON TABLE public.proposal TO signer;

GRANT SELECT ON TABLE public.rate_limit TO app;

GRANT SELECT ON TABLE public.registry_version TO app;
GRANT SELECT ON TABLE public.registry_version TO signer;
GRANT SELECT ON TABLE public.registry_version TO worker;

GRANT SELECT ON TABLE public.rendition TO app;
GRANT SELECT,INSERT ON TABLE public.rendition TO signer;
GRANT SELECT ON TABLE public.rendition TO worker;

GRANT SELECT,INSERT ON TABLE public.result TO app;
GRANT SELECT ON TABLE public.result TO signer;
GRANT SELECT ON TABLE public.result TO worker;

GRANT UPDATE(title) ON TABLE public.result TO app;
GRANT UPDATE(title) ON TABLE public.result TO signer;

GRANT UPDATE(state) ON TABLE public.result TO app;
GRANT UPDATE(state) ON TABLE public.result TO signer;

GRANT UPDATE(effect) ON TABLE public.result TO app;
GRANT UPDATE(effect) ON TABLE public.result TO signer;

GRANT UPDATE(foreign_reference) ON TABLE public.result TO app;
GRANT UPDATE(foreign_reference) ON TABLE public.result TO signer;

GRANT UPDATE(issued_at) ON TABLE public.result TO app;
GRANT UPDATE(issued_at) ON TABLE public.result TO signer;

GRANT UPDATE(version) ON TABLE public.result TO app;
GRANT UPDATE(version) ON TABLE public.result TO signer;

GRANT UPDATE(foreign_system) ON TABLE public.result TO app;

GRANT SELECT,INSERT ON TABLE public.result_effect TO app;
GRANT SELECT,INSERT ON TABLE public.result_effect TO signer;
GRANT SELECT ON TABLE public.result_effect TO worker;

GRANT SELECT,INSERT ON TABLE public.result_link TO app;
GRANT SELECT,INSERT ON TABLE public.result_link TO signer;
GRANT SELECT ON TABLE public.result_link TO worker;

GRANT SELECT ON TABLE public.revision TO app;
GRANT SELECT,INSERT ON TABLE public.revision TO signer;
GRANT SELECT,INSERT ON TABLE public.revision TO worker;

GRANT SELECT,INSERT ON TABLE public.revision_withdrawal TO app;
GRANT SELECT,INSERT ON TABLE public.revision_withdrawal TO signer;
GRANT SELECT ON TABLE public.revision_withdrawal TO worker;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.revocation_answer TO signer;

GRANT SELECT,INSERT ON TABLE public.second_factor TO signer;

GRANT SELECT(id) ON TABLE public.second_factor TO worker;

GRANT SELECT(account_id) ON TABLE public.second_factor TO worker;

GRANT UPDATE(key_id) ON TABLE public.second_factor TO signer;

GRANT UPDATE(secret_sealed) ON TABLE public.second_factor TO signer;

GRANT UPDATE(last_counter) ON TABLE public.second_factor TO signer;

GRANT UPDATE(failures) ON TABLE public.second_factor TO signer;

GRANT UPDATE(last_failure_at) ON TABLE public.second_factor TO signer;

GRANT UPDATE(revoked_at) ON TABLE public.second_factor TO signer;
GRANT SELECT(revoked_at) ON TABLE public.second_factor TO worker;

GRANT SELECT ON TABLE public.service_mode TO app;

GRANT SELECT,INSERT ON TABLE public.session TO app;
GRANT SELECT ON TABLE public.session TO signer;
GRANT SELECT,DELETE ON TABLE public.session TO worker;

GRANT UPDATE(post_id) ON TABLE public.session TO app;

GRANT UPDATE(seen_at) ON TABLE public.session TO app;

GRANT UPDATE(expires_at) ON TABLE public.session TO app;

GRANT UPDATE(ended_at) ON TABLE public.session TO app;

GRANT UPDATE(restricted) ON TABLE public.session TO app;

GRANT INSERT ON TABLE public.signature_answer TO app;
GRANT SELECT ON TABLE public.signature_answer TO signer;

GRANT SELECT(id) ON TABLE public.signature_answer TO app;

GRANT SELECT ON TABLE public.signature_batch TO app;
GRANT SELECT ON TABLE public.signature_batch TO signer;
GRANT SELECT ON TABLE public.signature_batch TO worker;

GRANT INSERT(account_id) ON TABLE public.signature_batch TO app;

GRANT INSERT(person_id) ON TABLE public.signature_batch TO app;

GRANT INSERT(post_id) ON TABLE public.signature_batch TO app;

GRANT INSERT(agency_id) ON TABLE public.signature_batch TO app;

GRANT INSERT(session_id) ON TABLE public.signature_batch TO app;

GRANT INSERT(lane) ON TABLE public.signature_batch TO app;

GRANT INSERT(item_count) ON TABLE public.signature_batch TO app;

GRANT UPDATE(complete) ON TABLE public.signature_batch TO signer;

GRANT INSERT(trace_id) ON TABLE public.signature_batch TO app;

GRANT INSERT(authorised_until) ON TABLE public.signature_batch TO app;
GRANT UPDATE(authorised_until) ON TABLE public.signature_batch TO signer;

GRANT UPDATE(closed_at) ON TABLE public.signature_batch TO signer;

GRANT SELECT,INSERT ON TABLE public.signature_value TO signer;

GRANT SELECT(request_id) ON TABLE public.signature_value TO worker;

GRANT SELECT(attempt) ON TABLE public.signature_value TO worker;

GRANT SELECT(source) ON TABLE public.signature_value TO worker;

GRANT SELECT(received_at) ON TABLE public.signature_value TO worker;

GRANT SELECT ON TABLE public.signing_errand TO app;

GRANT SELECT ON TABLE public.step_up TO signer;

GRANT SELECT(id) ON TABLE public.step_up TO app;
GRANT SELECT(id) ON TABLE public.step_up TO worker;

GRANT SELECT(batch_id),INSERT(batch_id) ON TABLE public.step_up TO app;
GRANT SELECT(batch_id) ON TABLE public.step_up TO worker;

GRANT SELECT(account_id),INSERT(account_id) ON TABLE public.step_up TO app;

GRANT SELECT(kind),INSERT(kind) ON TABLE public.step_up TO app;

GRANT INSERT(response) ON TABLE public.step_up TO app;

GRANT INSERT(digest) ON TABLE public.step_up TO app;

GRANT SELECT(offered_at) ON TABLE public.step_up TO app;

GRANT SELECT ON TABLE public.step_up_verdict TO app;
GRANT SELECT,INSERT ON TABLE public.step_up_verdict TO signer;
GRANT SELECT ON TABLE public.step_up_verdict TO worker;

GRANT SELECT,INSERT,UPDATE ON TABLE public.task TO app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.task TO signer;
GRANT SELECT,INSERT,UPDATE ON TABLE public.task TO worker;

GRANT SELECT ON TABLE public.territory TO app;
GRANT SELECT ON TABLE public.territory TO signer;
GRANT SELECT ON TABLE public.territory TO worker;

GRANT SELECT,INSERT ON TABLE public.upload TO app;
GRANT SELECT ON TABLE public.upload TO signer;
GRANT SELECT ON TABLE public.upload TO worker;

GRANT UPDATE(state) ON TABLE public.upload TO worker;

GRANT UPDATE(file_name_sealed) ON TABLE public.upload TO worker;

GRANT UPDATE(dossier_id) ON TABLE public.upload TO app;

GRANT UPDATE(accepted_sha256) ON TABLE public.upload TO worker;

GRANT UPDATE(report) ON TABLE public.upload TO worker;

GRANT UPDATE(checked_at) ON TABLE public.upload TO worker;

GRANT SELECT,INSERT ON TABLE public.view_log TO app;
GRANT SELECT,INSERT ON TABLE public.view_log TO signer;
GRANT SELECT,INSERT ON TABLE public.view_log TO worker;
