-- migrate:up
-- A key holder's own page on which a person authorises a transaction (OAuth 2.0): its address, and what the browser brought back.
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

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
