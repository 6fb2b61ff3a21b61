-- name: lock_first
-- One at a time: two operators at once must not make three.
SELECT pg_advisory_xact_lock(hashtextextended('motcua/first-administrator', 1));

-- name: province
-- The People's Committee of the province.
SELECT id FROM agency WHERE kind = 'province' AND valid_to IS NULL ORDER BY valid_from DESC LIMIT 1;

-- name: administrators
-- How many people administer the province now.
SELECT count(DISTINCT account.person_id)
  FROM account
  JOIN post_holding holding ON holding.person_id = account.person_id AND holding.valid_from <= $1 AND (holding.valid_to IS NULL OR holding.valid_to > $1)
  JOIN post ON post.id = holding.post_id AND post.agency_id = $2 AND 'administrator' = ANY (post.roles)
 WHERE account.state = 'active';

-- name: login_taken
-- Whether an account bears this log-in.
SELECT EXISTS (SELECT 1 FROM account WHERE login = $1);

-- name: insert_first
-- Person, post, account, one-time password and factor of one administrator, in one statement.
WITH person AS (INSERT INTO person (kind) VALUES ('official') RETURNING id),
     named AS (INSERT INTO official (person_id, display_name, sort_key) SELECT id, $3, $4 FROM person),
     private AS (INSERT INTO person_private (person_id, key_id, name_sealed, name_fingerprint) SELECT id, $5, $6, $7 FROM person),
     post AS (INSERT INTO post (agency_id, title, rank, roles, valid_from)
              VALUES ($1, 'Quản trị tài khoản của tỉnh', 'administrator', '{administrator}', $13) RETURNING id),
     holding AS (INSERT INTO post_holding (person_id, post_id, valid_from, legal_basis)
                 SELECT person.id, post.id, $12, 'motcua people first-administrator' FROM person, post),
     account AS (INSERT INTO account (person_id, agency_id, login) SELECT id, $1, $2 FROM person RETURNING id),
     password AS (INSERT INTO account_password (account_id, argon2, changed_at, one_time_until) SELECT id, $8, $12, $9 FROM account)
INSERT INTO second_factor (account_id, kind, key_id, secret_sealed) SELECT id, 'totp', $10, $11 FROM account;
