-- migrate:up
-- A key holder's own page on which a person authorises a transaction (OAuth 2.0): its address, and what the browser brought back.
-- And a separate annex is sealed in one ticket with its main document: its turn comes when that one's persons have signed.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE holder_page (
    state text PRIMARY KEY CHECK (octet_length(state) BETWEEN 22 AND 128),
    transaction_id text NOT NULL REFERENCES holder_transaction (id),
    url text NOT NULL CHECK (octet_length(url) <= 16384),
    opened_at timestamptz NOT NULL
);
CREATE INDEX holder_page_transaction ON holder_page (transaction_id, opened_at);
CREATE TRIGGER holder_page_append_only BEFORE UPDATE OR DELETE ON holder_page FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE holder_page IS 'A page of a key holder on which the asking session''s person authorises one transaction; the newest of a transaction is the one that counts.';

CREATE TABLE page_answer (
    state text PRIMARY KEY REFERENCES holder_page (state),
    code text NOT NULL CHECK (octet_length(code) <= 4096),
    error text NOT NULL CHECK (octet_length(error) <= 128),
    issuer text NOT NULL CHECK (octet_length(issuer) <= 1024),
    account_id uuid NOT NULL REFERENCES account (id),
    received_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER page_answer_append_only BEFORE UPDATE OR DELETE ON page_answer FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE page_answer IS 'What a browser brought back from a page, once; the code is worth nothing without the verifier and the client''s secret, which the signer alone has.';

GRANT SELECT ON holder_page, page_answer TO app, signer;
GRANT INSERT ON holder_page TO signer;
GRANT INSERT (state, code, error, issuer, account_id) ON page_answer TO app;

CREATE TABLE key_use_check (
    transaction_id text PRIMARY KEY REFERENCES holder_transaction (id),
    found text NOT NULL CHECK (found IN ('agreed', 'not-known', 'other-values', 'signed-there')),
    checked_at timestamptz NOT NULL
);
CREATE INDEX key_use_check_differs ON key_use_check (checked_at) WHERE found <> 'agreed';
CREATE TRIGGER key_use_check_append_only BEFORE UPDATE OR DELETE ON key_use_check FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE key_use_check IS 'Our account of a transaction held against the key holder''s own, once: agreed, or how they differ.';
GRANT SELECT ON key_use_check TO app, signer, worker;
GRANT INSERT ON key_use_check TO signer;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX holder_transaction_ended ON holder_transaction (holder, ended_at) WHERE state = 'ended';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX document_annexes ON document (main_document_id) WHERE main_document_id IS NOT NULL;

CREATE FUNCTION annex_number(of_document uuid, in_batch uuid) RETURNS uuid
LANGUAGE sql STABLE
RETURN (SELECT number.id
          FROM document annex
          JOIN number ON number.document_id = annex.main_document_id
         WHERE annex.id = of_document
           AND (number.state = 'used'
                OR number.state = 'reserved'
               AND EXISTS (SELECT FROM batch_item beside
                            WHERE beside.batch_id = in_batch AND beside.number_id = number.id AND beside.outcome IS NULL))
         LIMIT 1);
COMMENT ON FUNCTION annex_number IS 'The number that a separate annex refers to: of its main document once that is sealed, or while it is being sealed in the same ticket.';
REVOKE EXECUTE ON FUNCTION annex_number FROM PUBLIC;
GRANT EXECUTE ON FUNCTION annex_number TO app, signer;

CREATE FUNCTION annex_waits(of_chain uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM chain own
                 JOIN document annex ON annex.id = own.document_id AND annex.main_document_id IS NOT NULL
                WHERE own.id = of_chain
                  AND NOT EXISTS (SELECT FROM chain main
                                   WHERE main.document_id = annex.main_document_id AND main.state IN ('open', 'done')
                                     AND NOT EXISTS (SELECT FROM signature_request person
                                                      WHERE person.chain_id = main.id AND person.role <> 'seal' AND person.state <> 'recorded')));
COMMENT ON FUNCTION annex_waits IS 'Whether somebody has yet to sign the main document of the annex whose chain this is.';
REVOKE EXECUTE ON FUNCTION annex_waits FROM PUBLIC;
GRANT EXECUTE ON FUNCTION annex_waits TO app, signer, worker;

CREATE OR REPLACE FUNCTION signature_request_waits(of_chain uuid, of_group smallint) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM signature_request before
                WHERE before.chain_id = of_chain AND before.group_no < of_group AND before.state <> 'recorded')
    OR annex_waits(of_chain);
COMMENT ON FUNCTION signature_request_waits IS 'Whether somebody of a group before, or of an annex''s main document, has not signed yet.';

-- The same as before, and the turns of the annexes of a document whose persons have signed, or whose chain has opened or ended.
CREATE OR REPLACE FUNCTION signature_request_next_turns() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
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
      WHERE later.state = 'to_sign'
        AND (later.chain_id = of_chain AND later.group_no > after_group
             OR later.document_id IN (SELECT annex.id FROM public.document annex WHERE annex.main_document_id = of_document))
      ORDER BY later.id
        FOR NO KEY UPDATE;
    UPDATE public.signature_request later
       SET ready = public.signature_request_ready(later.state, later.chain_id, later.group_no)
     WHERE later.chain_id = of_chain AND later.group_no > after_group AND later.state = 'to_sign'
       AND later.ready IS DISTINCT FROM public.signature_request_ready(later.state, later.chain_id, later.group_no);
    UPDATE public.signature_request annexed
       SET ready = public.signature_request_ready(annexed.state, annexed.chain_id, annexed.group_no)
      FROM public.document annex
     WHERE annex.main_document_id = of_document AND annexed.document_id = annex.id AND annexed.state = 'to_sign'
       AND annexed.ready IS DISTINCT FROM public.signature_request_ready(annexed.state, annexed.chain_id, annexed.group_no);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION signature_request_next_turns() IS 'Has the requests that come after this one, in its chain and of its document''s annexes, told anew whether their turn has come.';

-- A rule in the service and a constraint here: no annex is recorded before its main document is sealed.
CREATE FUNCTION annex_after_main() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.document annex
                     JOIN public.chain main ON main.document_id = annex.main_document_id AND main.state = 'done'
                    WHERE annex.id = NEW.document_id) THEN
        RAISE EXCEPTION 'signature_request: the main document is not sealed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION annex_after_main() IS 'No separate annex is recorded before its main document is sealed.';
CREATE TRIGGER annex_after_main BEFORE UPDATE OF state ON signature_request
    FOR EACH ROW WHEN (NEW.act = 'separate_annex' AND NEW.state = 'recorded' AND OLD.state <> 'recorded') EXECUTE FUNCTION annex_after_main();

-- A certificate may be on hold: neither good nor revoked. One row for each certificate in use, checked in an instant.
-- squawk-ignore ban-drop-constraint
ALTER TABLE certificate_status DROP CONSTRAINT certificate_status_state_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE certificate_status ADD CONSTRAINT certificate_status_state_check CHECK (state IN ('good', 'revoked', 'on_hold', 'unknown'));

-- What waits too early of before is told its turn: the trigger writes the truth, whatever is given. A few rows at any time.
UPDATE signature_request SET ready = NULL WHERE act = 'separate_annex' AND state = 'to_sign';

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
