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
SELECT day, number, is_open FROM lines WHERE stream = :stream ORDER BY day DESC, number DESC LIMIT 1;
-- name: heads
WITH RECURSIVE found AS (
    (SELECT writer, seq, hash FROM lines WHERE stream = :stream AND seq IS NOT NULL
        ORDER BY writer, seq DESC, day DESC, number DESC LIMIT 1)
    UNION ALL
    SELECT n.writer, n.seq, n.hash FROM found CROSS JOIN LATERAL (
        SELECT l.writer, l.seq, l.hash FROM lines l
        WHERE l.stream = :stream AND l.seq IS NOT NULL AND l.writer > found.writer
        ORDER BY l.writer, l.seq DESC, l.day DESC, l.number DESC LIMIT 1) n
)
SELECT writer, seq, hash FROM found;
-- name: of_keys
SELECT DISTINCT ON (key_hash) key_hash, line FROM lines
WHERE stream = :stream AND key_hash = ANY(:keys::bytea[]) ORDER BY key_hash, day, number;
-- name: is_new
SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND NOT is_learned);
-- name: new_lines
SELECT day, number, line FROM lines WHERE stream = :stream AND NOT is_learned ORDER BY day, number LIMIT :count;
-- name: learn
UPDATE lines l SET is_learned = true, writer = f.writer, seq = f.seq, hash = f.hash, key_hash = f.key_hash
FROM unnest(:days::text[], :numbers::integer[], :writers::bytea[], :seqs::bigint[], :hashes::text[], :keys::bytea[])
    AS f (day, number, writer, seq, hash, key_hash)
WHERE l.stream = :stream AND l.day = f.day AND l.number = f.number;
-- name: close
UPDATE lines SET is_open = false WHERE stream = :stream AND day = :day AND is_open;
-- name: append
WITH turn AS (
    UPDATE turns SET revision = revision + 1
    WHERE stream = :stream AND revision = :revision
        AND NOT EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND key_hash = ANY(:known_keys::bytea[]))
        AND NOT EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND NOT is_learned)
    RETURNING revision
)
INSERT INTO lines (stream, day, number, line, is_learned, writer, seq, hash, key_hash)
SELECT :stream, :day, :number::integer + f.place, f.line, true, f.writer, f.seq, f.hash, f.key_hash
FROM turn CROSS JOIN unnest(:lines::bytea[], :writers::bytea[], :seqs::bigint[], :hashes::text[], :keys::bytea[])
    WITH ORDINALITY AS f (line, writer, seq, hash, key_hash, place)
RETURNING number;
-- name: is_there
SELECT 1 AS found FROM lines WHERE stream = :stream AND day = :day AND number = :number AND hash = :hash;
-- name: epoch
SELECT epoch FROM turns WHERE stream = :stream;
-- name: line_at
SELECT line FROM lines WHERE stream = :stream AND day = :day AND number = :number;
-- name: lines_after
SELECT day, number, line, is_open FROM lines
WHERE stream = :stream AND (day, number) > (:day::text, :number::integer) AND day <= :until
ORDER BY day, number LIMIT :count;
-- name: lines_before
SELECT day, number, line, is_open FROM lines
WHERE stream = :stream AND (day, number) < (:day::text, :number::integer) AND day >= :since
ORDER BY day DESC, number DESC LIMIT :count;
-- name: day_is_there
SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM lines WHERE stream = :stream AND day = :day);
-- name: put_day
INSERT INTO lines (stream, day, number, line, is_open)
SELECT :stream, :day, :number::integer + f.place, f.line, f.is_open
FROM unnest(:lines::bytea[], :open::boolean[]) WITH ORDINALITY AS f (line, is_open, place);
-- name: new_epoch
UPDATE turns SET epoch = epoch + 1, revision = revision + 1 WHERE stream = :stream;
