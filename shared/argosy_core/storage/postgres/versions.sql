-- name: table
SELECT 1 AS found WHERE to_regclass(:name) IS NOT NULL;
-- name: version
SELECT max(version) AS version FROM versions;
-- name: lock
SELECT pg_advisory_xact_lock(:number::bigint);
-- name: applied
INSERT INTO versions (version) VALUES (:version);
