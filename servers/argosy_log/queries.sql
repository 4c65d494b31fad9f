Named statements over schema.sql.
-- name: generation
SELECT generation FROM meta;
-- name: add_stream
INSERT OR IGNORE INTO streams (name, position) VALUES (:name, '');
-- name: stream
SELECT id, position, rereads FROM streams WHERE name = :name;
-- name: set_position
UPDATE streams SET position = :position, rereads = :rereads WHERE id = :id;
-- name: unsee_files
UPDATE files SET seen = 0 WHERE stream = :stream;
-- name: add_file
INSERT OR IGNORE INTO files (stream, path, place) VALUES (:stream, :path, :place);
-- name: file
SELECT id, seen, lines, place FROM files WHERE path = :path;
-- name: set_file
UPDATE files SET seen = :seen, lines = :lines, place = :place WHERE id = :id;
-- name: unfinished_files
SELECT id, path, seen, lines FROM files WHERE stream = :stream AND seen < lines;
-- name: count_lines
SELECT coalesce(sum(lines), 0) FROM files;
-- name: drop_file
DELETE FROM files WHERE id = :id;
-- name: bodies_between
SELECT id, text FROM bodies WHERE id >= :first AND id < :last ORDER BY id;
-- name: add_body
INSERT INTO bodies (id, place, text) VALUES (?, ?, ?);
-- name: drop_events
DELETE FROM events WHERE (place, id) IN (
    SELECT place, id FROM bodies WHERE id >= :first AND id < :last AND place IS NOT NULL
);
-- name: drop_bodies
DELETE FROM bodies WHERE id >= :first AND id < :last;
-- name: last_place
SELECT max(place) FROM bodies WHERE id >= :first AND id < :last;
-- name: combo
SELECT id FROM combos WHERE stream = ? AND kind = ? AND agent = ? AND model = ? AND tool = ? AND status = ?
    AND server = ? AND named = ?;
-- name: add_combo
INSERT INTO combos (stream, kind, agent, model, tool, status, server, named) VALUES (?, ?, ?, ?, ?, ?, ?, ?);
-- name: add_event
INSERT INTO events (place, id, combo, run, parent, at, cost, tokens_in, tokens_out, latency)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
-- name: add_sums
INSERT INTO sums VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    events = events + excluded.events, cost_n = cost_n + excluded.cost_n, cost = cost + excluded.cost,
    tokens_in_n = tokens_in_n + excluded.tokens_in_n, tokens_in = tokens_in + excluded.tokens_in,
    tokens_out_n = tokens_out_n + excluded.tokens_out_n, tokens_out = tokens_out + excluded.tokens_out,
    latency_n = latency_n + excluded.latency_n, latency = latency + excluded.latency;
-- name: spread
SELECT counts FROM spreads WHERE file = ? AND span = ? AND combo = ? AND measure = ?;
-- name: set_spread
INSERT OR REPLACE INTO spreads VALUES (?, ?, ?, ?, ?);
-- name: drop_sums
DELETE FROM sums WHERE grain IN (0, 1) AND file = :file;
-- name: spreads_of_file
SELECT span, combo, measure, counts FROM spreads WHERE file = :file;
-- name: drop_spreads
DELETE FROM spreads WHERE file = :file;
-- name: events_of_file
SELECT e.combo, e.at, e.cost, e.tokens_in, e.tokens_out, e.latency
FROM bodies b JOIN events e ON e.place = b.place AND e.id = b.id
WHERE b.id >= :first AND b.id < :last AND b.place IS NOT NULL;
-- name: lines_of_day
SELECT coalesce(sum(f.lines), 0) FROM files f JOIN streams s ON s.id = f.stream
WHERE s.name = :stream AND f.path = :path;
-- name: damaged
SELECT b.id, f.path FROM bodies b JOIN files f ON f.id = b.id >> 32 JOIN streams s ON s.id = f.stream
WHERE b.place IS NULL AND s.name IN (SELECT value FROM json_each(:streams)) AND length(trim(b.text, x'20090d0a')) > 0
ORDER BY f.path DESC, b.id LIMIT :count;
-- name: newest
SELECT place, id, combo FROM events
WHERE (place, id) < (:place, :id) AND place >= :first AND place <= :last
    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
ORDER BY place DESC, id DESC;
-- name: newest_of_combos
SELECT place, id, combo FROM events
WHERE (place, id) < (:place, :id) AND place >= :first AND place <= :last
    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
    AND +combo IN (SELECT value FROM json_each(:combos))
ORDER BY place DESC, id DESC;
-- name: newest_of_combo
SELECT place, id, combo FROM events INDEXED BY events_of_combo
WHERE combo = :combo AND (place, id) < (:place, :id) AND place >= :first AND place <= :last
    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
ORDER BY place DESC, id DESC;
-- name: newest_of_run
SELECT place, id, combo FROM events INDEXED BY events_of_run
WHERE run = :run AND (place, id) < (:place, :id) AND place >= :first AND place <= :last
    AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at <= :until)
ORDER BY place DESC, id DESC;
-- name: family_of_run
SELECT place, id, combo FROM events WHERE run = :run
UNION
SELECT place, id, combo FROM events WHERE parent = :run
ORDER BY place, id LIMIT :count;
-- name: first_of_run
SELECT id FROM events WHERE run = :run ORDER BY place, id LIMIT 20;
-- name: body
SELECT text FROM bodies WHERE id = ?;
-- name: stream_of_file
SELECT s.name FROM files f JOIN streams s ON s.id = f.stream WHERE f.id = ?;
-- name: set_writer
INSERT INTO writers VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq, at = excluded.at;
-- name: lines_with
SELECT b.text FROM files f JOIN bodies b ON b.id >= f.id << 32 AND b.id < (f.id + 1) << 32
WHERE f.stream = (SELECT id FROM streams WHERE name = :stream) AND instr(b.text, :needle) > 0;
-- name: writers_of
SELECT w.writer, w.seq, w.at FROM writers w JOIN streams s ON s.id = w.stream WHERE s.name = :stream;
-- name: add_redaction
INSERT OR IGNORE INTO redactions (stream, writer, seq) VALUES (?, ?, ?);
-- name: open_redactions
SELECT stream, writer, seq FROM redactions WHERE done = 0 LIMIT 100;
-- name: close_redaction
UPDATE redactions SET done = 1 WHERE stream = ? AND writer = ? AND seq = ?;
-- name: facts_of_combos
SELECT id, stream, kind, agent, model, tool, status, server, named FROM combos
WHERE stream IN (SELECT value FROM json_each(:streams));
-- name: count_combos
SELECT count(*) FROM combos;
-- name: files_between
SELECT id, path FROM files
WHERE stream IN (SELECT id FROM streams WHERE name IN (SELECT value FROM json_each(:streams)))
    AND substr(path, -16, 10) >= :first AND substr(path, -16, 10) <= :last
ORDER BY substr(path, -16, 10), path;
-- name: sums
SELECT combo, 0 AS span, sum(events) AS events, sum({measure}_n) AS n, sum({measure}) AS amount FROM sums
WHERE grain = :grain AND span >= :first AND span < :last GROUP BY combo;
-- name: sums_by_span
SELECT combo, span * :hours AS span, sum(events) AS events, sum({measure}_n) AS n, sum({measure}) AS amount FROM sums
WHERE grain = :grain AND span >= :first AND span < :last GROUP BY combo, span;
-- name: event_sums
SELECT combo, 0 AS span, count(*) AS events, count({measure}) AS n, coalesce(sum({measure}), 0) AS amount FROM events
WHERE at >= :first AND at < :last GROUP BY combo;
-- name: event_sums_by_span
SELECT combo, at / 3600000000 AS span, count(*) AS events, count({measure}) AS n, coalesce(sum({measure}), 0) AS amount
FROM events WHERE at >= :first AND at < :last GROUP BY combo, span;
-- name: run_sums
SELECT {combo} AS combo, run, {span} AS span, count(*) AS events, count({measure}) AS n,
    coalesce(sum({measure}), 0) AS amount, min(id) AS id
FROM events
WHERE (:first IS NULL OR at >= :first) AND (:last IS NULL OR at < :last)
    AND +combo IN (SELECT value FROM json_each(:combos))
GROUP BY run, {groups};
-- name: all_spreads
SELECT combo, -1 AS span, counts FROM spreads WHERE file = 0 AND span = -2 AND measure = :measure;
-- name: spreads
SELECT combo, span * 24 AS span, counts FROM spreads WHERE measure = :measure AND span >= :first AND span < :last;
-- name: values
SELECT combo, coalesce(at / 3600000000, -1) AS span, {measure} AS value FROM events
WHERE {measure} IS NOT NULL AND at >= :first AND at < :last;
-- name: run_values
SELECT combo, run, coalesce(at / 3600000000, -1) AS span, {measure} AS value, id FROM events
WHERE {measure} IS NOT NULL AND (:first IS NULL OR at >= :first) AND (:last IS NULL OR at < :last);
