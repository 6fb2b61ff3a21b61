-- migrate:up
-- A request knows whether its turn has come, so a list reads no further than its page. Old rows hold NULL until the rewrite
-- `signature_request.ready` has passed; the list judges those as it meets them. Both indexes are partial over what waits to
-- be signed, some tens of thousands of rows, so they are built before anybody notices; the lists of the version before go
-- on by theirs.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE signature_request ADD COLUMN ready boolean;
COMMENT ON COLUMN signature_request.ready IS 'Whether it waits for its person or clerk now: as signature_request_ready() tells, kept by triggers. NULL in rows of before version 0017 that nothing has touched since.';

-- The one place that says what must be signed before what.
CREATE FUNCTION signature_request_waits(of_chain uuid, of_group smallint) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM signature_request before
                WHERE before.chain_id = of_chain AND before.group_no < of_group AND before.state <> 'recorded');
COMMENT ON FUNCTION signature_request_waits IS 'Whether somebody of a group before has not signed yet.';
REVOKE EXECUTE ON FUNCTION signature_request_waits FROM PUBLIC;
GRANT EXECUTE ON FUNCTION signature_request_waits TO app, signer, worker;

CREATE FUNCTION signature_request_ready(in_state text, of_chain uuid, of_group smallint) RETURNS boolean
LANGUAGE sql STABLE
RETURN in_state = 'to_sign' AND EXISTS (SELECT FROM chain WHERE chain.id = of_chain AND chain.state = 'open')
   AND NOT signature_request_waits(of_chain, of_group);
COMMENT ON FUNCTION signature_request_ready IS 'Whether a request waits to be signed, its chain is open, and its turn has come.';
REVOKE EXECUTE ON FUNCTION signature_request_ready FROM PUBLIC;
GRANT EXECUTE ON FUNCTION signature_request_ready TO app, signer, worker;

CREATE OR REPLACE FUNCTION signature_request_guard() RETURNS trigger
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
    IF NEW.state IN ('asked', 'prepared', 'sent', 'recorded') AND public.signature_request_waits(NEW.chain_id, NEW.group_no) THEN
        RAISE EXCEPTION 'signature_request: the group before is not recorded' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

-- A row's own turn is told with the row itself. Whoever adds to a chain waits for who opens or ends it.
CREATE FUNCTION signature_request_turn() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM public.chain WHERE chain.id = NEW.chain_id FOR SHARE;
    END IF;
    NEW.ready := public.signature_request_ready(NEW.state, NEW.chain_id, NEW.group_no);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION signature_request_turn() IS 'Writes into a request whether its turn has come, whatever was to be written there.';
CREATE TRIGGER signature_request_turn BEFORE INSERT OR UPDATE OF state, ready ON signature_request
    FOR EACH ROW EXECUTE FUNCTION signature_request_turn();

-- The others' turns are told where a signature is recorded (or a place put in, or taken out), and where the chain is opened or ended: by
-- the owner, since none of the roles that do so may write `ready`. They are locked in one statement and judged in the
-- next: of two that sign at once in one group, the second sees the first.
CREATE FUNCTION signature_request_next_turns() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    of_chain uuid;
    after_group smallint := 0;
BEGIN
    IF TG_TABLE_NAME = 'chain' THEN
        of_chain := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        of_chain := OLD.chain_id;
        after_group := OLD.group_no;
    ELSE
        of_chain := NEW.chain_id;
        after_group := NEW.group_no;
    END IF;
    PERFORM FROM public.signature_request later
      WHERE later.chain_id = of_chain AND later.group_no > after_group AND later.state = 'to_sign'
      ORDER BY later.id
        FOR NO KEY UPDATE;
    UPDATE public.signature_request later
       SET ready = public.signature_request_ready(later.state, later.chain_id, later.group_no)
     WHERE later.chain_id = of_chain AND later.group_no > after_group AND later.state = 'to_sign'
       AND later.ready IS DISTINCT FROM public.signature_request_ready(later.state, later.chain_id, later.group_no);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION signature_request_next_turns() IS 'Has the requests of a chain that come after this one told anew whether their turn has come.';
CREATE TRIGGER signature_request_added AFTER INSERT OR DELETE ON signature_request
    FOR EACH ROW EXECUTE FUNCTION signature_request_next_turns();
CREATE TRIGGER signature_request_signed AFTER UPDATE OF state ON signature_request
    FOR EACH ROW WHEN ((OLD.state = 'recorded') <> (NEW.state = 'recorded')) EXECUTE FUNCTION signature_request_next_turns();
CREATE TRIGGER chain_opened AFTER UPDATE OF state ON chain
    FOR EACH ROW WHEN ((OLD.state = 'open') <> (NEW.state = 'open')) EXECUTE FUNCTION signature_request_next_turns();

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX signature_request_ready_person ON signature_request (person_id, lane, (coalesce(due_at, 'infinity')), id)
 WHERE state = 'to_sign' AND ready IS NOT FALSE;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX signature_request_ready_seal ON signature_request (agency_id, lane, (coalesce(due_at, 'infinity')), id)
 WHERE state = 'to_sign' AND role = 'seal' AND ready IS NOT FALSE;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
