-- migrate:up
-- Copies say of which form they are, and a draft that was uploaded may come with the places that its officer chose; the
-- anchor texts among these are sealed like a template's data, since they may name people. Each check reads its table once,
-- a second at a million rows.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE document ADD COLUMN copy_form text;
COMMENT ON COLUMN document.copy_form IS 'Of a copy: sao y, sao lục, trích sao (Decree 30/2020, Art. 25) or chứng thực bản sao (Decree 23/2015).';
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE document ADD CONSTRAINT document_copy_form_check
    CHECK (copy_form IS NULL OR (act = 'copy' AND copy_form IN ('true_copy', 'copy_of_copy', 'extract', 'certified_copy')));

-- What the wider check lets in besides, no older code writes, and a worker that is older leaves its jobs alone.
-- squawk-ignore ban-drop-constraint
ALTER TABLE draft_order DROP CONSTRAINT draft_order_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE draft_order ADD CONSTRAINT draft_order_template_check CHECK (template IS NULL OR data_sealed IS NOT NULL);

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
