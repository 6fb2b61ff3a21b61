-- migrate:up
-- What an operator sets while the system runs (mode, limits), and what the signer last found of each key holder.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE service_mode (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    mode text NOT NULL DEFAULT 'normal' CHECK (mode IN ('normal', 'read-only', 'maintenance')),
    reason text,
    until timestamptz,
    since timestamptz NOT NULL DEFAULT now(),
    CHECK ((mode = 'normal') = (reason IS NULL))
);
INSERT INTO service_mode DEFAULT VALUES;
COMMENT ON TABLE service_mode IS 'What the API answers just now: everything, reading alone, or that it is being maintained. One row, set by the owner alone.';

CREATE TABLE rate_limit (
    agency_id uuid REFERENCES agency (id),
    work text,
    per_second real NOT NULL CHECK (per_second > 0),
    burst integer NOT NULL CHECK (burst >= 1),
    reason text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (agency_id, work)
);
COMMENT ON TABLE rate_limit IS 'Where an agency, or every one, may ask more or less often than by default; without a class of work it holds for all of them.';

CREATE TRIGGER service_mode_changed AFTER INSERT OR UPDATE OR DELETE ON service_mode FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();
CREATE TRIGGER rate_limit_changed AFTER INSERT OR UPDATE OR DELETE ON rate_limit FOR EACH STATEMENT EXECUTE FUNCTION registry_changed();

CREATE TABLE holder_state (
    name text PRIMARY KEY REFERENCES key_holder (name),
    reachable boolean NOT NULL,
    since timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    code text
);
COMMENT ON TABLE holder_state IS 'Whether the signer reached each key holder when it last looked, and since when that is so; desks show it.';

GRANT SELECT ON service_mode, rate_limit, holder_state TO app;
GRANT SELECT, INSERT, UPDATE ON holder_state TO signer;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
