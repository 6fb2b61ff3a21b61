-- name: lock_answer
-- What a person said to a proposal, with the proposal locked and the proposer's person.
SELECT answer.id, answer.purpose, answer.account_id, answer.post_id, answer.kind, answer.response, answer.digest, answer.offered_at,
       proposal.id AS proposal_id, proposal.state, proposal.created_at, proposal.content_sealed, proposal.digest AS proposal_digest,
       proposal.proposed_by_account_id, proposer.person_id AS proposer_person_id, verdict.accepted
  FROM factor_answer answer
  JOIN proposal ON proposal.id = answer.proposal_id
  JOIN account proposer ON proposer.id = proposal.proposed_by_account_id
  LEFT JOIN factor_verdict verdict ON verdict.answer_id = answer.id
 WHERE answer.id = $1
   FOR UPDATE OF proposal;

-- name: insert_verdict
-- The judgement of an answer, once.
INSERT INTO factor_verdict (answer_id, accepted, reason, judged_at) VALUES ($1, $2, $3, $4) ON CONFLICT (answer_id) DO NOTHING;

-- name: now_waiting
-- The proposer's factor was right: the proposal waits for a second person.
UPDATE proposal SET state = 'waiting' WHERE id = $1 AND state = 'checking';

-- name: end_proposal
-- A proposal ends, with why, and with what came of it.
UPDATE proposal SET state = $2, why = $3, decided_at = $4, made_id = $5 WHERE id = $1 AND state IN ('checking', 'waiting') RETURNING id;

-- name: expire_proposals
-- Nobody agreed in time.
UPDATE proposal SET state = 'expired', why = $3, decided_at = $2 WHERE state IN ('checking', 'waiting') AND created_at <= $1 RETURNING id;

-- name: expire_offers
-- Nobody confirmed in time.
UPDATE enrolment_offer SET outcome = 'expired', ended_at = $1, handed = NULL WHERE outcome IS NULL AND expires_at <= $1 RETURNING enrolment_id;

-- name: forget_nonces
-- Challenges that are too old to be offered again.
DELETE FROM passkey_nonce WHERE used_at < $1;

-- name: login_taken
-- Whether an account bears this log-in.
SELECT EXISTS (SELECT 1 FROM account WHERE login = $1);

-- name: insert_person
-- An official.
INSERT INTO person (kind) VALUES ('official') RETURNING id;

-- name: insert_private
-- What is personal of an official, sealed.
INSERT INTO person_private (person_id, key_id, name_sealed, name_fingerprint, id_number_sealed, id_number_fingerprint) VALUES ($1, $2, $3, $4, $5, $6);

-- name: insert_official
-- The name in public office.
INSERT INTO official (person_id, display_name, sort_key) VALUES ($1, $2, $3);

-- name: insert_account
-- An account without a password: its administrator gives a one-time one.
INSERT INTO account (person_id, agency_id, login) VALUES ($1, $2, $3) RETURNING id;

-- name: insert_post
-- A post with its roles.
INSERT INTO post (agency_id, unit, title, rank, roles, valid_from) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id;

-- name: insert_holding
-- Who holds a post from now on.
INSERT INTO post_holding (person_id, post_id, valid_from, legal_basis) VALUES ($1, $2, $3, $4);

-- name: end_holding
-- A person holds a post no longer.
UPDATE post_holding SET valid_to = $3 WHERE person_id = $1 AND post_id = $2 AND valid_from < $3 AND (valid_to IS NULL OR valid_to > $3) RETURNING id;

-- name: set_state
-- An account works, or is closed for good.
UPDATE account SET state = $2 WHERE id = $1 AND state <> 'closed' AND (state <> $2 OR $2 = 'active') RETURNING id;

-- name: lift_blocks
-- Every lock of an account ends; a loss of factors is never undone.
UPDATE account_block SET lifted_at = $2 WHERE account_id = $1 AND what = 'account' AND lifted_at IS NULL;

-- name: holds_post
-- Whether a person holds a post now, and at which agency it is.
SELECT post.agency_id
  FROM post_holding holding
  JOIN post ON post.id = holding.post_id
 WHERE holding.person_id = $1 AND holding.post_id = $2 AND holding.valid_from <= $3 AND (holding.valid_to IS NULL OR holding.valid_to > $3)
 LIMIT 1;

-- name: insert_mandate
-- A right to sign.
INSERT INTO mandate (id, kind, capacity, person_id, post_id, agency_id, acts, procedure_codes, title_lines, legal_basis, valid_from, valid_to)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: revoke_mandate
-- A right to sign ends now.
UPDATE mandate SET revoked_at = $3 WHERE id = $1 AND person_id = $2 AND revoked_at IS NULL RETURNING id;

-- name: material
-- What the person's browser made for an enrolment.
SELECT enrolment.id, enrolment.account_id, enrolment.kind, material.public_part, material.client_data
  FROM enrolment
  JOIN enrolment_material material ON material.enrolment_id = enrolment.id
 WHERE enrolment.id = $1;

-- name: insert_offer
-- What the signer made of an approved enrolment; once.
INSERT INTO enrolment_offer (enrolment_id, proposal_id, secret_sealed, handed, credential_id, public_key, sign_count, made_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (enrolment_id) DO NOTHING
RETURNING enrolment_id;

-- name: lock_confirmation
-- The first answer of a new factor, with what it must fit, locked; a loss reported since the offer ends it.
SELECT answer.id, answer.kind AS factor, answer.response, answer.digest, answer.offered_at, answer.account_id, enrolment.account_id AS owner_account_id,
       enrolment.kind, offer.enrolment_id, offer.secret_sealed, offer.credential_id, offer.public_key, offer.sign_count, offer.tries, offer.made_at,
       offer.expires_at, offer.outcome, verdict.accepted,
       EXISTS (SELECT 1 FROM account_block lost WHERE lost.account_id = enrolment.account_id AND lost.at >= enrolment.created_at) AS blocked
  FROM factor_answer answer
  JOIN enrolment ON enrolment.id = answer.enrolment_id
  JOIN enrolment_offer offer ON offer.enrolment_id = enrolment.id
  LEFT JOIN factor_verdict verdict ON verdict.answer_id = answer.id
 WHERE answer.id = $1
   FOR UPDATE OF offer;

-- name: count_try
-- A wrong first answer; the last one ends the enrolment.
UPDATE enrolment_offer SET tries = tries + 1, outcome = $2::text, ended_at = $3, handed = CASE WHEN $2::text IS NULL THEN handed END WHERE enrolment_id = $1;

-- name: end_offer
-- The factor counts from now on.
UPDATE enrolment_offer SET outcome = 'enrolled', ended_at = $2, handed = NULL WHERE enrolment_id = $1;

-- name: revoke_totp
-- One TOTP per account: the new one replaces the old.
UPDATE second_factor SET revoked_at = $2 WHERE account_id = $1 AND kind = 'totp' AND revoked_at IS NULL;

-- name: insert_totp
-- A TOTP whose first code was right; that code is used.
INSERT INTO second_factor (account_id, kind, key_id, secret_sealed, last_counter) VALUES ($1, 'totp', $2, $3, $4) RETURNING id;

-- name: insert_passkey
-- A passkey whose first assertion was right; a credential belongs to one account.
INSERT INTO passkey (account_id, credential_id, public_key, sign_count) VALUES ($1, $2, $3, $4) ON CONFLICT (credential_id) DO NOTHING RETURNING id;

-- name: binding_of
-- The content of the open proposal to which this answer proposes or agrees, where it binds a certificate.
SELECT proposal.content_sealed
  FROM factor_answer answer
  JOIN proposal ON proposal.id = answer.proposal_id
 WHERE answer.id = $1 AND answer.purpose <> 'refuse' AND proposal.kind = ANY ($2::text[]) AND proposal.state IN ('checking', 'waiting');

-- name: official_name
-- The name in public office.
SELECT display_name FROM official WHERE person_id = $1;

-- name: agencies_named
-- The agencies that bear this name, or bore it, the latest first.
SELECT id
  FROM agency
 WHERE sort_key = $1
 ORDER BY valid_from DESC, id;

-- name: agency_and_predecessors
-- An agency with those whose successor it is.
SELECT $1::uuid AS id
UNION
SELECT predecessor_id FROM agency_succession WHERE successor_id = $1 AND kind <> 'competence_moved';

-- name: insert_certificate
-- A certificate that two persons bound; each is bound once.
INSERT INTO certificate (person_id, agency_id, named_agency_id, serial, issuer, subject, certificate, chain, class, mechanism, holder,
       credential_id, owner_sealed, image_png, not_before, not_after, bound_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (issuer, serial) DO NOTHING
RETURNING id;

-- name: unbind_certificate
-- A person's or an organisation's certificate signs no more.
UPDATE certificate
   SET revoked_at = $4
 WHERE id = $1 AND person_id IS NOT DISTINCT FROM $2 AND agency_id IS NOT DISTINCT FROM $3 AND revoked_at IS NULL
RETURNING serial;
