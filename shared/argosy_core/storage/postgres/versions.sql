-- name: table
SELECT 1 AS found FROM pg_catalog.pg_tables WHERE schemaname = :schema AND tablename = 'versions';
-- name: version
SELECT max(version) AS version FROM versions;
-- name: lock
SELECT pg_advisory_xact_lock(:number::bigint);
-- name: applied
INSERT INTO versions (version) VALUES (:version);
