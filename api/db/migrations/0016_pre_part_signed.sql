-- migrate:up
-- Dossiers: the row knows which results bear some of their signatures, so that taking one back is offered where there is one.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE dossier ADD COLUMN part_signed uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN dossier.part_signed IS 'Results still to be signed that bear a signature already, an initial or the first of several.';

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
