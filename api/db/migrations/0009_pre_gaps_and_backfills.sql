-- migrate:up
-- Numbers that were passed over on purpose, and how far long rewrites of old rows have come.
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

CREATE TABLE backfill (
    name text PRIMARY KEY,
    after text NOT NULL DEFAULT '',
    rows bigint NOT NULL DEFAULT 0,
    began_at timestamptz NOT NULL DEFAULT now(),
    moved_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
COMMENT ON TABLE backfill IS 'How far a rewrite of old rows has come: moved in the transaction of each batch, so a run that dies goes on where it was. The owner''s alone.';

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
