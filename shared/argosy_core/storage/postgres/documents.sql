-- name: document
SELECT version, mtime_ns, size, write_id, data FROM documents WHERE path = :path;
-- name: locked
SELECT version, mtime_ns, size, write_id, data FROM documents WHERE path = :path FOR UPDATE;
-- name: hold
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || :path::text, 0));
-- name: stamp
SELECT mtime_ns, size FROM files WHERE path = :path;
-- name: written
SELECT mtime_ns, size, version, write_id FROM documents WHERE path = :path;
-- name: piece
SELECT substring(data FROM :start::integer FOR :count::integer) AS data FROM documents WHERE path = :path;
-- name: put
INSERT INTO documents AS d (path, folder, is_hidden, version, mtime_ns, size, write_id, data)
VALUES (:path, :folder, :is_hidden, :version, :now_ns::bigint + nextval('document_ticks') % 1000, :size, :write_id, :data)
ON CONFLICT (path) DO UPDATE SET version = excluded.version, mtime_ns = greatest(excluded.mtime_ns, d.mtime_ns + 1),
    size = excluded.size, write_id = excluded.write_id, data = excluded.data
RETURNING mtime_ns;
-- name: add
INSERT INTO documents (path, folder, is_hidden, version, mtime_ns, size, write_id, data)
VALUES (:path, :folder, :is_hidden, :version, :now_ns::bigint + nextval('document_ticks') % 1000, :size, :write_id, :data)
ON CONFLICT (path) DO NOTHING RETURNING mtime_ns;
-- name: swap
UPDATE documents SET version = :version, size = :size, write_id = :write_id, data = :data,
    mtime_ns = greatest(:now_ns::bigint + nextval('document_ticks') % 1000, mtime_ns + 1)
WHERE path = :path AND version = :expected RETURNING mtime_ns;
-- name: drop
DELETE FROM documents WHERE path = :path RETURNING 1;
-- name: drop_version
DELETE FROM documents WHERE path = :path AND version = :expected RETURNING 1;
-- name: in_folder
SELECT path, mtime_ns, size FROM files
WHERE folder = :folder AND substr(path, :start::integer, 1) <> '.' AND right(path, length(:suffix)) = :suffix
ORDER BY path;
-- name: stamps
SELECT path, mtime_ns, size FROM files WHERE path = ANY(:paths::text[]);
-- name: below
SELECT path, mtime_ns, size FROM files
WHERE path >= :first AND path < :last AND NOT is_hidden AND right(path, length(:suffix)) = :suffix
ORDER BY path;
-- name: below_hidden
SELECT path, mtime_ns, size FROM files
WHERE path >= :first AND path < :last AND strpos('/' || substr(path, :start::integer), '/.') = 0
    AND right(path, length(:suffix)) = :suffix
ORDER BY path;
-- name: folders
WITH RECURSIVE found (folder) AS (
    (SELECT folder FROM files WHERE folder >= :first AND folder < :last ORDER BY folder LIMIT 1)
    UNION ALL
    -- the next that is not in the folder just found; names may stand between a folder's and those below it
    SELECT least(
        (SELECT d.folder FROM files d WHERE d.folder > found.folder
            AND d.folder < :first || split_part(substr(found.folder, :start::integer), '/', 1) || '/'
            ORDER BY d.folder LIMIT 1),
        (SELECT d.folder FROM files d
            WHERE d.folder >= :first || split_part(substr(found.folder, :start::integer), '/', 1) || '0'
            AND d.folder < :last ORDER BY d.folder LIMIT 1))
    FROM found WHERE found.folder IS NOT NULL
)
SELECT DISTINCT split_part(substr(folder, :start::integer), '/', 1) AS name FROM found
WHERE folder IS NOT NULL AND substr(folder, :start::integer, 1) NOT IN ('.', '');
-- name: all_paths
SELECT path FROM files;
