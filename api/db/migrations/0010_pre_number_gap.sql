-- migrate:up
-- Numbers that were passed over on purpose: a register may have gaps, but none unexplained.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE number_gap (
    series_id uuid NOT NULL REFERENCES number_series (id),
    year integer NOT NULL,
    first integer NOT NULL CHECK (first > 0),
    last integer NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (series_id, year, first),
    CHECK (last >= first)
);
COMMENT ON TABLE number_gap IS 'Numbers that no row of the register will ever hold, and why: after a restore to an earlier point they may stand on released papers. Written by the owner alone.';
CREATE TRIGGER number_gap_append_only BEFORE UPDATE OR DELETE ON number_gap FOR EACH STATEMENT EXECUTE FUNCTION append_only();
GRANT SELECT ON number_gap TO app, signer, worker;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
