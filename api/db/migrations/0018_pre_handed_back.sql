-- migrate:up
-- The official's own token: his program fetches what is to be signed and hands it back. Each item handed back is a fact of its own,
-- committed before it is answered; the signer alone judges it.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE key_holder ADD COLUMN carried boolean NOT NULL DEFAULT false;
-- What the key holder's own screen shows beside a transaction: the person compares it with ours.
ALTER TABLE holder_transaction ADD COLUMN shown_code text;

CREATE TABLE handed_back (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    transaction_id text NOT NULL REFERENCES holder_transaction (id),
    request_id uuid NOT NULL REFERENCES signature_request (id),
    content_sha256 bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
    value bytea CHECK (octet_length(value) BETWEEN 1 AND 8192),
    certificate bytea CHECK (octet_length(certificate) <= 16384),
    file_sha256 bytea REFERENCES blob (sha256),
    account_id uuid NOT NULL REFERENCES account (id),
    received_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (transaction_id, request_id, content_sha256),
    CHECK ((value IS NULL) <> (file_sha256 IS NULL))
);
CREATE INDEX handed_back_request ON handed_back (request_id);
CREATE INDEX handed_back_file ON handed_back (file_sha256) WHERE file_sha256 IS NOT NULL;
CREATE TRIGGER handed_back_append_only BEFORE UPDATE OR DELETE ON handed_back FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE handed_back IS 'What a signatory''s own program handed back for one item: a raw value with its certificate, or a whole signed file. The same content twice is one row.';

CREATE TABLE handed_back_verdict (
    handed_id uuid PRIMARY KEY REFERENCES handed_back (id),
    code text NOT NULL,
    detail jsonb,
    verdict jsonb,
    judged_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER handed_back_verdict_append_only BEFORE UPDATE OR DELETE ON handed_back_verdict FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE handed_back_verdict IS 'The signer''s judgement of what was handed back: "signed", or why not; verdict is what verification said of a whole file that was taken.';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX holder_transaction_person ON holder_transaction (person_id) WHERE state <> 'ended';

GRANT SELECT ON handed_back, handed_back_verdict TO app, signer;
GRANT SELECT (file_sha256) ON handed_back TO worker;
GRANT INSERT (transaction_id, request_id, content_sha256, value, certificate, file_sha256, account_id) ON handed_back TO app;
GRANT INSERT ON handed_back_verdict TO signer;
-- The API reads no preparation but of what waits for a signatory's own program, and only while it waits.
CREATE VIEW signing_errand WITH (security_barrier) AS
SELECT due.id AS transaction_id, due.batch_id, due.person_id, due.started_at, due.expires_at, request.id AS request_id, request.document_id,
       request.dossier_id, request.number_id, request.role, request.act, request.field, preparation.base_sha256, preparation.base_size,
       preparation.increment, preparation.reserved_start, preparation.reserved_end, preparation.signed_attrs, preparation.tbs_sha256,
       preparation.mechanism, certificate.serial
  FROM holder_transaction due
  JOIN key_holder ON key_holder.name = due.holder AND key_holder.carried
  JOIN signature_request request ON request.transaction_id = due.id AND request.state = 'sent'
  JOIN preparation ON preparation.request_id = request.id AND preparation.attempt = request.attempt
  JOIN certificate ON certificate.id = preparation.certificate_id
 WHERE due.state <> 'ended';
COMMENT ON VIEW signing_errand IS 'What waits for a signatory''s own program: the prepared bytes go out through the API, which may not read any other preparation.';
GRANT SELECT ON signing_errand TO app;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
