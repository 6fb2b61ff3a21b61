-- migrate:up
-- An intent is held and looked up in one round trip: every write begins with it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE FUNCTION take_intent(whose text, where_to text, by_key text, OUT mine boolean, OUT body_sha256 bytea, OUT status smallint, OUT answer json)
    LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    mine := pg_try_advisory_xact_lock(hashtextextended(whose || E'\n' || where_to || E'\n' || by_key, 2));
    IF mine THEN
        SELECT kept.body_sha256, kept.status, kept.answer INTO body_sha256, status, answer
          FROM public.idempotency kept
         WHERE kept.actor = whose AND kept.route = where_to AND kept.key = by_key;
    END IF;
END $$;
COMMENT ON FUNCTION take_intent IS 'Holds an intent until the transaction ends, then looks for its answer: two statements, so that the second sees what a twin committed before the first got the lock.';
REVOKE EXECUTE ON FUNCTION take_intent FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_intent TO app;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
