-- name: agent
SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM documents WHERE path >= :first AND path < :last)
    OR EXISTS (SELECT 1 FROM lines WHERE stream = :stream);
-- name: streams
WITH RECURSIVE found (stream) AS (
    SELECT min(stream) FROM lines
    UNION ALL
    SELECT (SELECT min(l.stream) FROM lines l WHERE l.stream > found.stream) FROM found WHERE found.stream IS NOT NULL
)
SELECT stream FROM found WHERE stream IS NOT NULL;
-- name: days
WITH RECURSIVE found (day) AS (
    SELECT min(day) FROM lines WHERE stream = :stream
    UNION ALL
    SELECT (SELECT min(l.day) FROM lines l WHERE l.stream = :stream AND l.day > found.day)
    FROM found WHERE found.day IS NOT NULL
)
SELECT day FROM found WHERE day IS NOT NULL ORDER BY day;
-- name: turn
INSERT INTO turns (stream, revision) VALUES (:stream, 0)
ON CONFLICT (stream) DO UPDATE SET revision = turns.revision RETURNING revision;
-- name: last
SELECT day, start + octet_length(line) + 1 AS stop FROM lines
WHERE stream = :stream ORDER BY day DESC, start DESC LIMIT 1;
-- name: heads
WITH RECURSIVE found AS (
    (SELECT writer, seq, hash FROM lines WHERE stream = :stream AND seq IS NOT NULL
        ORDER BY writer, seq DESC, day DESC, start DESC LIMIT 1)
    UNION ALL
    SELECT n.writer, n.seq, n.hash FROM found CROSS JOIN LATERAL (
        SELECT l.writer, l.seq, l.hash FROM lines l
        WHERE l.stream = :stream AND l.seq IS NOT NULL AND l.writer > found.writer
        ORDER BY l.writer, l.seq DESC, l.day DESC, l.start DESC LIMIT 1) n
)
SELECT writer, seq, hash FROM found;
-- name: of_keys
SELECT DISTINCT ON (key_hash) key_hash, line FROM lines
WHERE stream = :stream AND key_hash = ANY(:keys::bytea[]) ORDER BY key_hash, day, start;
-- name: is_new
SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND NOT is_learned);
-- name: new_lines
SELECT day, start, line FROM lines WHERE stream = :stream AND NOT is_learned ORDER BY day, start LIMIT :count;
-- name: learn
UPDATE lines l SET is_learned = true, writer = f.writer, seq = f.seq, hash = f.hash, key_hash = f.key_hash
FROM unnest(:days::text[], :starts::bigint[], :writers::bytea[], :seqs::bigint[], :hashes::text[], :keys::bytea[])
    AS f (day, start, writer, seq, hash, key_hash)
WHERE l.stream = :stream AND l.day = f.day AND l.start = f.start;
-- name: close
WITH closed AS (UPDATE lines SET is_open = false WHERE stream = :stream AND day = :day AND is_open RETURNING 1)
UPDATE days SET size = size + 1 WHERE path = :path AND EXISTS (SELECT 1 FROM closed);
-- name: append
WITH turn AS (
    UPDATE turns SET revision = revision + 1
    WHERE stream = :stream AND revision = :revision
        AND NOT EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND key_hash = ANY(:known_keys::bytea[]))
        AND NOT EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND NOT is_learned)
    RETURNING revision
),
grown AS (
    INSERT INTO days (path, folder, mtime_ns, size) SELECT :path, :folder, :now_ns, :size FROM turn
    ON CONFLICT (path) DO UPDATE
        SET mtime_ns = greatest(days.mtime_ns + 1, excluded.mtime_ns), size = days.size + excluded.size
)
INSERT INTO lines (stream, day, start, line, is_learned, writer, seq, hash, key_hash)
SELECT :stream, :day, f.start, f.line, true, f.writer, f.seq, f.hash, f.key_hash
FROM turn CROSS JOIN unnest(:starts::bigint[], :lines::bytea[], :writers::bytea[], :seqs::bigint[], :hashes::text[],
    :keys::bytea[]) AS f (start, line, writer, seq, hash, key_hash)
RETURNING start;
-- name: is_there
SELECT 1 AS found FROM lines WHERE stream = :stream AND day = :day AND start = :start AND hash = :hash;
-- name: epoch
SELECT epoch FROM turns WHERE stream = :stream;
-- name: line_at
SELECT line FROM lines WHERE stream = :stream AND day = :day AND start = :start;
-- name: lines_after
SELECT day, start, line, is_open FROM lines
WHERE stream = :stream AND (day, start) > (:day::text, :start::bigint) AND day <= :until
ORDER BY day, start LIMIT :count;
-- name: lines_before
SELECT day, start, line, is_open FROM lines
WHERE stream = :stream AND (day, start) < (:day::text, :start::bigint) AND day >= :since
ORDER BY day DESC, start DESC LIMIT :count;
-- name: bytes_of_day
SELECT start, line, is_open FROM lines
WHERE stream = :stream AND day = :day AND start < :stop AND start >= coalesce(
    (SELECT max(l.start) FROM lines l WHERE l.stream = :stream AND l.day = :day AND l.start <= :start), 0)
ORDER BY start;
-- name: new_day
INSERT INTO days (path, folder, mtime_ns, size) VALUES (:path, :folder, :now_ns, :size)
ON CONFLICT (path) DO NOTHING RETURNING 1;
-- name: put_lines
INSERT INTO lines (stream, day, start, line, is_open)
SELECT :stream, :day, f.start, f.line, f.is_open
FROM unnest(:starts::bigint[], :lines::bytea[], :open::boolean[]) AS f (start, line, is_open);
-- name: anchors
SELECT data FROM documents WHERE path = :path;
-- name: line_of_entry
SELECT day, start, line FROM lines WHERE stream = :stream AND writer = :writer AND seq = :seq
ORDER BY day DESC, start DESC LIMIT 1;
-- name: redact_line
UPDATE lines SET line = :line, key_hash = NULL WHERE stream = :stream AND day = :day AND start = :start;
-- name: lift_lines
UPDATE lines SET start = -(start + :gained::bigint) WHERE stream = :stream AND day = :day AND start > :start;
-- name: set_lines_down
UPDATE lines SET start = -start WHERE stream = :stream AND day = :day AND start < 0;
-- name: resize_day
UPDATE days SET size = size + :gained::bigint, mtime_ns = greatest(mtime_ns + 1, :now_ns) WHERE path = :path;
-- name: turn_over
UPDATE turns SET revision = revision + 1, epoch = epoch + :step WHERE stream = :stream;
