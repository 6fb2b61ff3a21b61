-- migrate:up
-- People: certificates are bound by proposals, too, and whom a change is about finds it; an upload becomes its dossier's when it is attached;
-- the worker sees which rights have ended, to write it down outside the database.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- squawk-ignore ban-drop-constraint
ALTER TABLE proposal DROP CONSTRAINT proposal_kind_check;
ALTER TABLE proposal ADD CONSTRAINT proposal_kind_check CHECK (kind IN ('open_account', 'unlock_account', 'close_account', 'give_post',
    'end_post', 'enrol_factor', 'give_mandate', 'revoke_mandate', 'bind_certificate', 'unbind_certificate', 'bind_seal', 'unbind_seal')) NOT VALID;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX proposal_subject ON proposal (subject_account_id, decided_at) WHERE state = 'applied';

ALTER TABLE upload ALTER CONSTRAINT upload_dossier_id_fkey DEFERRABLE INITIALLY DEFERRED;
GRANT UPDATE (dossier_id) ON upload TO app;

GRANT SELECT (id, account_id, revoked_at) ON second_factor, passkey TO worker;
GRANT SELECT (id, account_id, what, at, lifted_at) ON account_block TO worker;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
