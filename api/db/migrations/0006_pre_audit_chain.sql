-- migrate:up
-- The chain over committed audit rows with its signed checkpoints, written by the worker alone; who may seal again what it reads, for the rotation of keys.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE audit_chain (
    position bigint PRIMARY KEY CHECK (position > 0),
    audit_id bigint NOT NULL UNIQUE,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE ON audit_chain FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE audit_chain IS 'The order in which committed audit rows were chained: each hash covers the one before it and its row. No foreign key: a removed row must leave its link behind.';

CREATE TABLE audit_checkpoint (
    number bigint PRIMARY KEY CHECK (number > 0),
    body text NOT NULL,
    signature bytea NOT NULL CHECK (octet_length(signature) = 64)
);
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE audit_checkpoint IS 'How long the chain was at a moment and its hash, signed by a key that the database does not hold; a copy of each lies outside.';

CREATE TABLE audit_key (
    ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE CHECK (id <> ''),
    body text NOT NULL,
    signature bytea NOT NULL CHECK (octet_length(signature) = 64)
);
CREATE TRIGGER audit_key_append_only BEFORE UPDATE OR DELETE ON audit_key FOR EACH STATEMENT EXECUTE FUNCTION append_only();
COMMENT ON TABLE audit_key IS 'The public halves of checkpoint keys; each but the first is signed by the key before it.';

ALTER TABLE session ADD COLUMN key_id text;
COMMENT ON COLUMN session.key_id IS 'The session key under which the token''s hash was made.';

GRANT SELECT, INSERT ON audit_chain, audit_checkpoint, audit_key TO worker;
GRANT UPDATE (key_id, name_sealed, name_fingerprint, id_number_sealed, id_number_fingerprint, contact_sealed, phone_fingerprint,
              details_sealed) ON person_private TO worker;
GRANT UPDATE (file_name_sealed) ON upload TO worker;
GRANT UPDATE (data_sealed) ON draft_order, print_order TO worker;
GRANT UPDATE (key_id, secret_sealed) ON second_factor TO signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
