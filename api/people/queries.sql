-- name: voter
-- Somebody in a post as it stands now, with whether account and post stand and nothing blocks them.
SELECT account.id AS account_id, account.person_id, post.agency_id, agency.kind AS agency_kind, post.rank, post.roles,
       account.state = 'active'
       AND post.valid_from <= $4 AND (post.valid_to IS NULL OR post.valid_to > $4)
       AND NOT EXISTS (SELECT 1 FROM account_block block WHERE block.account_id = account.id AND block.what = 'account' AND block.lifted_at IS NULL)
       AND EXISTS (SELECT 1 FROM post_holding holding WHERE holding.person_id = account.person_id AND holding.post_id = post.id
                      AND holding.valid_from <= $3 AND (holding.valid_to IS NULL OR holding.valid_to > $3)) AS entitled
  FROM account
  JOIN post ON post.id = $2
  JOIN agency ON agency.id = post.agency_id
 WHERE account.id = $1;

-- name: subject_account
-- Whose account a change is about, and which agency looks after it.
SELECT agency_id, id AS account_id, person_id FROM account WHERE id = $1;

-- name: agency_parent
-- The agency of a post that would be made, with the one above it.
SELECT id, parent_id FROM agency WHERE id = $1 AND valid_to IS NULL;

-- name: account_page
-- The next accounts that an agency's administrator looks after, or with NULL those of the whole province.
SELECT account.id, account.login, official.display_name, account.agency_id,
       CASE WHEN account.state = 'active' AND EXISTS (SELECT 1 FROM account_block block WHERE block.account_id = account.id
                 AND block.what = 'account' AND block.lifted_at IS NULL) THEN 'locked' ELSE account.state END AS state,
       (SELECT count(*) FROM passkey WHERE passkey.account_id = account.id AND passkey.revoked_at IS NULL)::int AS passkeys,
       (SELECT max(block.at) FROM account_block block WHERE block.account_id = account.id AND block.what = 'factors') AS factors_lost_at,
       coalesce(held.ids, '{}') AS post_ids, coalesce(held.titles, '{}') AS post_titles
  FROM account
  LEFT JOIN official ON official.person_id = account.person_id
  LEFT JOIN LATERAL (
        SELECT array_agg(post.id ORDER BY holding.valid_from, post.id) AS ids, array_agg(post.title ORDER BY holding.valid_from, post.id) AS titles
          FROM post_holding holding
          JOIN post ON post.id = holding.post_id
         WHERE holding.person_id = account.person_id AND holding.valid_from <= $2 AND (holding.valid_to IS NULL OR holding.valid_to > $2)) held ON true
 WHERE ($1::uuid IS NULL OR account.agency_id = $1) AND account.login > $3
 ORDER BY account.login
 LIMIT $4;

-- name: insert_block
-- Block an account or its factors: one row, in force from its commit.
INSERT INTO account_block (account_id, what, reason, by_account_id) VALUES ($1, $2, $3, $4) RETURNING id;

-- name: insert_proposal
-- A change somebody proposes; its content is sealed, its digest is what two persons confirm.
INSERT INTO proposal (id, kind, agency_id, subject_account_id, content_sealed, digest, proposed_by_account_id) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: insert_answer
-- What a person said, with the second factor as given: written once, read by the signer alone.
INSERT INTO factor_answer (id, purpose, proposal_id, enrolment_id, account_id, post_id, kind, response, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: proposal
-- One proposal with its sealed content.
SELECT id, kind, agency_id, subject_account_id, state, why, proposed_by_account_id, created_at, decided_at, made_id, content_sealed, digest
  FROM proposal
 WHERE id = $1;

-- name: voices
-- What was said to a proposal, in order, and how the signer judged it.
SELECT answer.account_id, answer.purpose, answer.kind AS factor, answer.offered_at, verdict.accepted, verdict.reason
  FROM factor_answer answer
  LEFT JOIN factor_verdict verdict ON verdict.answer_id = answer.id
 WHERE answer.proposal_id = $1
 ORDER BY answer.id;

-- name: proposals
-- The latest proposals of an agency, or with NULL of the province, in a state or in any.
SELECT id, kind, agency_id, subject_account_id, state, why, proposed_by_account_id, created_at, decided_at
  FROM proposal
 WHERE ($1::uuid IS NULL OR agency_id = $1 OR proposed_by_account_id = $2 OR subject_account_id = $2)
   AND ($3::text IS NULL OR state = $3) AND ($4::uuid IS NULL OR id < $4)
 ORDER BY id DESC
 LIMIT $5;

-- name: certificates
-- Certificates of whoever asks, of an agency and its accounts, or with the last argument of the whole province; the latest first.
SELECT certificate.id, account.id AS account_id, certificate.agency_id, certificate.serial, certificate.issuer, certificate.subject,
       certificate.holder, certificate.not_before, certificate.not_after, certificate.bound_at, certificate.revoked_at
  FROM certificate
  LEFT JOIN account ON account.person_id = certificate.person_id
 WHERE ($4 OR account.id = $1 OR account.agency_id = $2 OR certificate.agency_id = $2) AND ($3::uuid IS NULL OR certificate.id < $3)
 ORDER BY certificate.id DESC
 LIMIT $5;

-- name: insert_enrolment
-- A second factor that somebody wants to have.
INSERT INTO enrolment (id, account_id, kind) VALUES ($1, $2, $3);

-- name: insert_material
-- What the person's browser made; once.
INSERT INTO enrolment_material (enrolment_id, public_part, client_data) VALUES ($1, $2, $3) ON CONFLICT (enrolment_id) DO NOTHING RETURNING enrolment_id;

-- name: enrolment
-- An enrolment as far as it has come.
SELECT enrolment.id, enrolment.account_id, enrolment.kind, material.public_part, offer.handed, offer.tries, offer.expires_at, offer.outcome,
       offer.enrolment_id IS NOT NULL AS offered
  FROM enrolment
  LEFT JOIN enrolment_material material ON material.enrolment_id = enrolment.id
  LEFT JOIN enrolment_offer offer ON offer.enrolment_id = enrolment.id
 WHERE enrolment.id = $1;
