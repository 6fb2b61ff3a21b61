-- migrate:up
-- The lists "chờ ký" are read in the order of an index, not sorted: a request without a due time stands last there, too.
-- Each is partial over what waits to be signed, some tens of thousands of rows, so it is built before anybody notices.
SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX signature_request_waits_person ON signature_request (person_id, lane, (coalesce(due_at, 'infinity')), id)
 WHERE state = 'to_sign';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX signature_request_waits_agency ON signature_request (agency_id, role, lane, (coalesce(due_at, 'infinity')), id)
 WHERE state = 'to_sign';
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX signature_request_to_sign_person;
-- squawk-ignore require-concurrent-index-deletion
DROP INDEX signature_request_to_sign_agency;

-- migrate:down
-- Forward only: the next version mends what this one got wrong.
