-- migrate:up
-- The requests that come after one that was signed are found by their chains: with one condition for both, that of the same
-- chain and that of annexes, every request that waits was read at each signature.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE FUNCTION signature_requests_after(of_chain uuid, of_document uuid, after_group smallint) RETURNS uuid[]
LANGUAGE sql STABLE
RETURN ARRAY (
    SELECT later.id FROM signature_request later WHERE later.chain_id = of_chain AND later.group_no > after_group
    UNION ALL
    SELECT annexed.id
      FROM document annex
      JOIN chain own ON own.document_id = annex.id AND own.state IN ('laying', 'open')
      JOIN signature_request annexed ON annexed.chain_id = own.id
     WHERE annex.main_document_id = of_document);
COMMENT ON FUNCTION signature_requests_after IS 'The requests whose turn may come with this one: later ones of its chain, and those of its document''s annexes.';
REVOKE EXECUTE ON FUNCTION signature_requests_after FROM PUBLIC;

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
COMMENT ON FUNCTION signature_request_next_turns() IS 'Has the requests that come after this one, in its chain and of its document''s annexes, told anew whether their turn has come.';

-- What is done with a chain or a file is found by its document, its result or its digest, and not by reading all there are.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX chain_document ON chain (document_id);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX chain_of_result ON chain (result_id) WHERE state IN ('laying', 'open');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX rendition_sha256 ON rendition (sha256);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX signature_batch_unjudged ON signature_batch (asked_at) WHERE NOT complete;

-- Rows that change at every stage of every signature are cleaned up by their own number, not by a part of a million.
ALTER TABLE signature_request SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01);
ALTER TABLE batch_item SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01);

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
