-- name: file
SELECT mtime_ns, size, version, content, day FROM files WHERE folder = :folder AND name = :name;
-- name: stamps
SELECT name, mtime_ns, size FROM files
WHERE folder = :folder AND name IN (SELECT value FROM json_each(:names));
-- name: files_in
SELECT folder, name, mtime_ns, size FROM files
WHERE folder = :folder AND substr(name, 1, 1) <> '.' AND (:suffix = '' OR substr(name, -length(:suffix)) = :suffix)
ORDER BY name;
-- name: files_below
SELECT folder, name, mtime_ns, size FROM files
WHERE folder >= :folder AND folder < :end AND substr(name, 1, 1) <> '.'
    AND instr('/' || substr(folder, length(:folder) + 1), '/.') = 0
    AND (:suffix = '' OR substr(name, -length(:suffix)) = :suffix);
-- name: folders_in
-- Each step jumps over all that is below the folder just found: '0' is the sign after '/'.
WITH RECURSIVE found (name) AS (
    SELECT (
        SELECT substr(f.folder, length(:folder) + 1, instr(substr(f.folder, length(:folder) + 1), '/') - 1)
        FROM files f WHERE f.folder > :folder AND f.folder < :end ORDER BY f.folder LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT substr(f.folder, length(:folder) + 1, instr(substr(f.folder, length(:folder) + 1), '/') - 1)
        FROM files f WHERE f.folder >= :folder || found.name || '0' AND f.folder < :end ORDER BY f.folder LIMIT 1
    )
    FROM found WHERE found.name IS NOT NULL
)
SELECT name FROM found WHERE name IS NOT NULL AND substr(name, 1, 1) <> '.';
-- name: any_in
SELECT 1 FROM files WHERE folder = :folder LIMIT 1;
-- name: any_below
SELECT 1 FROM files WHERE folder >= :folder AND folder < :end LIMIT 1;
-- name: all_paths
SELECT folder || name AS path FROM files;
-- name: put_file
INSERT INTO files (folder, name, mtime_ns, size, version, content, day)
VALUES (:folder, :name, :mtime_ns, :size, :version, :content, :day)
ON CONFLICT (folder, name) DO UPDATE SET
    mtime_ns = excluded.mtime_ns, size = excluded.size, version = excluded.version, content = excluded.content;
-- name: drop_file
DELETE FROM files WHERE folder = :folder AND name = :name;
-- name: content
SELECT data FROM contents WHERE id = :id;
-- name: new_content
INSERT INTO contents (data) VALUES (:data);
-- name: change_content
UPDATE contents SET data = :data WHERE id = :id;
-- name: drop_content
DELETE FROM contents WHERE id = :id;
-- name: last_removed
SELECT mtime_ns FROM removed;
-- name: set_removed
UPDATE removed SET mtime_ns = max(mtime_ns, :mtime_ns);
-- name: streams
SELECT DISTINCT stream FROM days ORDER BY stream;
-- name: last_day
SELECT path FROM days WHERE stream = :stream ORDER BY path DESC LIMIT 1;
-- name: day
SELECT id, is_open FROM days WHERE stream = :stream AND path = :path;
-- name: new_day
INSERT INTO days (stream, path, is_open) VALUES (:stream, :path, :is_open);
-- name: close_line
UPDATE lines SET line = CAST(line || x'0A' AS BLOB)
WHERE id = (SELECT id FROM lines WHERE day = :day ORDER BY start DESC LIMIT 1);
-- name: close_day
UPDATE days SET is_open = 0 WHERE id = :day;
-- name: new_line
INSERT INTO lines (day, start, stream, writer, seq, hash, key, line)
VALUES (:day, :start, :stream, :writer, :seq, :hash, :key, :line);
-- name: lines_from
SELECT start, line FROM lines
WHERE day = :day AND start < :end
    AND start >= coalesce((SELECT max(start) FROM lines WHERE day = :day AND start <= :offset), 0)
ORDER BY start;
-- name: head
SELECT seq, hash FROM lines
WHERE stream = :stream AND writer = :writer AND seq IS NOT NULL ORDER BY seq DESC, id DESC LIMIT 1;
-- name: writers
WITH RECURSIVE found (writer) AS (
    SELECT min(writer) FROM lines WHERE stream = :stream AND seq IS NOT NULL
    UNION ALL
    SELECT (SELECT min(l.writer) FROM lines l WHERE l.stream = :stream AND l.seq IS NOT NULL AND l.writer > found.writer)
    FROM found WHERE found.writer IS NOT NULL
)
SELECT writer FROM found WHERE writer IS NOT NULL;
-- name: line_of_key
SELECT line FROM lines WHERE stream = :stream AND writer = :writer AND key = :key ORDER BY id LIMIT 1;
-- name: line_of_entry
SELECT l.id, l.day, l.start, l.line, d.path FROM lines l JOIN days d ON d.id = l.day
WHERE l.stream = :stream AND l.writer = :writer AND l.seq = :seq ORDER BY l.id DESC LIMIT 1;
-- name: overwrite_removed
PRAGMA secure_delete = ON;
-- name: redact_line
UPDATE lines SET line = :line, key = NULL WHERE id = :id;
-- name: lift_lines
UPDATE lines SET start = -(start + :gained) WHERE day = :day AND start > :start;
-- name: set_lines_down
UPDATE lines SET start = -start WHERE day = :day AND start < 0;
-- name: queues
WITH RECURSIVE found (queue) AS (
    SELECT min(queue) FROM items
    UNION ALL
    SELECT (SELECT min(i.queue) FROM items i WHERE i.queue > found.queue) FROM found WHERE found.queue IS NOT NULL
)
SELECT queue FROM found WHERE queue IS NOT NULL;
-- name: item_places
SELECT queue, state, id FROM items;
-- name: new_item
INSERT INTO items
    (queue, id, state, revision, seq, priority, needs, keys, lane, creator, created, wake, expires, lease_end, problem,
     is_given, record)
VALUES
    (:queue, :id, :state, :revision, :seq, :priority, :needs, :keys, :lane, :creator, :created, :wake, :expires,
     :lease_end, :problem, :is_given, :record);
-- name: change_item
-- The rest of an item never changes, and an index is only touched when a column of it is named here.
UPDATE items SET
    state = :state, revision = :revision, priority = :priority, lane = :lane, parked = NULL, wake = :wake,
    lease_end = :lease_end, is_given = :is_given, record = :record
WHERE id = :id AND queue = :queue;
-- name: set_problem
UPDATE items SET problem = :problem, lane = 0, parked = NULL, lease_end = NULL WHERE id = :id AND queue = :queue;
-- name: no_json
SELECT id, state FROM items
WHERE queue = :queue AND problem IS NULL AND NOT json_valid(CAST(record AS TEXT)) LIMIT 1000;
-- name: new_change
INSERT INTO changes (paths) VALUES (:paths);
-- name: drop_changes
DELETE FROM changes WHERE number <= :number;
-- name: last_change
SELECT coalesce(max(number), 0) AS number FROM changes;
-- name: changes_after
SELECT number, paths FROM changes WHERE number > :number ORDER BY number LIMIT :count;
