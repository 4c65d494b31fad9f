-- name: lock
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' queue ' || :queue::text, 0));
-- name: queues
WITH RECURSIVE found (queue) AS (
    SELECT min(queue) FROM items
    UNION ALL
    SELECT (SELECT min(i.queue) FROM items i WHERE i.queue > found.queue) FROM found WHERE found.queue IS NOT NULL
)
SELECT queue FROM found WHERE queue IS NOT NULL ORDER BY queue;
-- name: item
SELECT i.*, EXISTS (SELECT 1 FROM items WHERE queue = i.queue AND state = 'leased' AND lease_end <= :now)
    OR EXISTS (SELECT 1 FROM items WHERE queue = i.queue AND expires IS NOT NULL AND expires <= :now
        AND state IN ('held', 'ready', 'failed')) AS is_due
FROM items i WHERE i.id = :id ORDER BY i.queue LIMIT 1;
-- name: places
SELECT queue FROM items WHERE id = :id ORDER BY queue;
-- name: locked
SELECT * FROM items WHERE id = :id AND queue = :queue FOR UPDATE;
-- name: row
SELECT * FROM items WHERE id = :id AND queue = :queue;
-- name: known
SELECT i.* FROM unnest(:ids::text[], :queues::text[]) AS f (id, queue) JOIN items i USING (id, queue);
-- name: enqueue
INSERT INTO items (id, queue, state, revision, seq, priority, lane, needs, keys, creator, created, wake, expires, is_exact,
    record)
SELECT f.id, f.queue, f.state, 1, nextval('item_seq'), f.priority, f.lane, f.needs, f.keys, f.creator, f.created, f.wake,
    f.expires, false, f.record
FROM (SELECT * FROM unnest(:ids::text[], :queues::text[], :states::text[], :priorities::integer[], :lanes::smallint[],
    :needs::text[], :keys::text[], :creators::text[], :created::timestamptz[], :wakes::timestamptz[],
    :expires::timestamptz[], :records::bytea[]) WITH ORDINALITY AS each (id, queue, state, priority, lane, needs, keys,
    creator, created, wake, expires, record, place) ORDER BY place) AS f
ON CONFLICT (id, queue) DO NOTHING RETURNING id, queue, seq;
-- name: put
INSERT INTO items (id, queue, state, revision, seq, priority, lane, needs, keys, creator, created, wake, expires,
    lease_end, problem, is_exact, record)
VALUES (:id, :queue, :state, :revision, coalesce(nullif(:seq::bigint, 0), nextval('item_seq')), :priority, :lane, :needs,
    :keys, :creator, :created, :wake, :expires, :lease_end, :problem, :is_exact, :record)
ON CONFLICT (id, queue) DO UPDATE SET state = excluded.state, revision = excluded.revision, seq = excluded.seq,
    priority = excluded.priority, lane = excluded.lane, needs = excluded.needs, keys = excluded.keys, parked = NULL,
    creator = excluded.creator, created = excluded.created, wake = excluded.wake, expires = excluded.expires,
    lease_end = excluded.lease_end, problem = excluded.problem, token = NULL, holder = NULL, claimed_at = NULL,
    lease_seconds = NULL, is_exact = excluded.is_exact, record = excluded.record;
-- name: reserve_seq
SELECT setval('item_seq', greatest(:seq::bigint, nextval('item_seq')));
-- name: claim
WITH RECURSIVE shapes (needs) AS (
    SELECT min(needs) FROM items WHERE queue = :queue AND lane = 1
    UNION ALL
    SELECT (SELECT min(i.needs) FROM items i WHERE i.queue = :queue AND i.lane = 1 AND i.needs > shapes.needs)
    FROM shapes WHERE shapes.needs IS NOT NULL
),
look AS (
    SELECT EXISTS (SELECT 1 FROM items WHERE queue = :queue AND lane = 2 AND wake <= :now)
        OR EXISTS (SELECT 1 FROM items WHERE queue = :queue AND state = 'leased' AND lease_end <= :now)
        OR EXISTS (SELECT 1 FROM items WHERE queue = :queue AND expires IS NOT NULL AND expires <= :now
            AND state IN ('held', 'ready', 'failed'))
        OR EXISTS (SELECT 1 FROM shapes WHERE needs <> ALL(:known::text[])) AS is_more
),
picked AS MATERIALIZED (
    SELECT i.id, i.keys, i.priority, i.seq FROM items i
    WHERE i.queue = :queue AND i.lane = 1 AND i.needs = :needs AND NOT (SELECT is_more FROM look)
    ORDER BY i.priority DESC, i.seq LIMIT :count FOR UPDATE SKIP LOCKED
),
numbered AS (
    SELECT id, row_number() OVER (ORDER BY priority DESC, seq) AS place FROM picked
    WHERE NOT EXISTS (SELECT 1 FROM picked WHERE keys <> '[]')
),
taken AS (
    UPDATE items i SET state = 'leased', lane = 0, revision = i.revision + 1, token = (:tokens::text[])[n.place],
        holder = (:workers::text[])[n.place], claimed_at = :now, lease_seconds = (:seconds::double precision[])[n.place],
        lease_end = (:lease_ends::timestamptz[])[n.place], is_exact = false
    FROM numbered n WHERE i.id = n.id AND i.queue = :queue RETURNING i.*, n.place
)
SELECT l.is_more OR EXISTS (SELECT 1 FROM picked WHERE keys <> '[]') AS is_more, t.*
FROM look l LEFT JOIN taken t ON true ORDER BY t.place;
-- name: claimed_before
SELECT * FROM items WHERE queue = :queue AND state = 'leased' AND token = ANY(:tokens::text[])
ORDER BY priority DESC, seq;
-- name: complete
UPDATE items i SET state = 'done', revision = f.revision + 1, lane = 0, lease_end = NULL, token = NULL, holder = NULL,
    claimed_at = NULL, lease_seconds = NULL, is_exact = true, record = f.record
FROM unnest(:ids::text[], :queues::text[], :revisions::bigint[], :tokens::text[], :records::bytea[])
    AS f (id, queue, revision, token, record)
WHERE i.id = f.id AND i.queue = f.queue AND i.state = 'leased' AND i.revision = f.revision AND i.token = f.token
RETURNING i.id, i.queue;
-- name: hold_key
INSERT INTO held_keys (queue, key, id) VALUES (:queue, :key, :id)
ON CONFLICT (queue, key) DO UPDATE SET id = excluded.id;
-- name: free_keys
DELETE FROM held_keys WHERE queue = :queue AND id = :id;
-- name: holders
SELECT key, id FROM held_keys WHERE queue = :queue AND key = ANY(:keys::text[]);
-- name: wake_timed
UPDATE items SET lane = 1 WHERE queue = :queue AND lane = 2 AND wake <= :now;
-- name: shapes
WITH RECURSIVE shapes (needs) AS (
    SELECT min(needs) FROM items WHERE queue = :queue AND lane = 1
    UNION ALL
    SELECT (SELECT min(i.needs) FROM items i WHERE i.queue = :queue AND i.lane = 1 AND i.needs > shapes.needs)
    FROM shapes WHERE shapes.needs IS NOT NULL
)
SELECT needs FROM shapes WHERE needs IS NOT NULL;
-- name: next
SELECT n.* FROM unnest(:shapes::text[]) AS s (needs) CROSS JOIN LATERAL (
    SELECT i.* FROM items i WHERE i.queue = :queue AND i.lane = 1 AND i.needs = s.needs
    ORDER BY i.priority DESC, i.seq LIMIT :count FOR UPDATE SKIP LOCKED) n
ORDER BY n.priority DESC, n.seq LIMIT :count;
-- name: set_lane
UPDATE items SET lane = :lane WHERE queue = :queue AND id = :id;
-- name: park
UPDATE items SET lane = 3, parked = :key WHERE queue = :queue AND id = :id;
-- name: wake_parked
UPDATE items SET lane = 1, parked = NULL WHERE queue = :queue AND id = (
    SELECT id FROM items WHERE queue = :queue AND lane = 3 AND parked = :key ORDER BY priority DESC, seq LIMIT 1
);
-- name: abandoned
SELECT * FROM items WHERE queue = :queue AND state = 'leased' AND lease_end <= :now
ORDER BY lease_end LIMIT :count FOR UPDATE SKIP LOCKED;
-- name: expired
SELECT * FROM items
WHERE queue = :queue AND expires IS NOT NULL AND expires <= :now AND state IN ('held', 'ready', 'failed')
ORDER BY expires LIMIT :count FOR UPDATE SKIP LOCKED;
-- name: due_queues
SELECT q.queue FROM unnest(:queues::text[]) AS q (queue)
WHERE EXISTS (SELECT 1 FROM items i WHERE i.queue = q.queue AND i.state = 'leased' AND i.lease_end <= :now)
    OR EXISTS (SELECT 1 FROM items i WHERE i.queue = q.queue AND i.expires IS NOT NULL AND i.expires <= :now
        AND i.state IN ('held', 'ready', 'failed'));
-- name: waiting
SELECT * FROM items WHERE queue = :queue AND state IN ('held', 'ready', 'failed') AND problem IS NULL
ORDER BY seq LIMIT :count FOR UPDATE;
-- name: ahead
SELECT count(*) AS number FROM items
WHERE queue = :queue AND lane = 1 AND (priority > :priority OR (priority = :priority AND seq < :seq));
-- name: counts
SELECT state, count(*) AS number FROM items
WHERE (:queue::text IS NULL OR queue = :queue) AND (:creator::text IS NULL OR creator = :creator) GROUP BY state;
-- name: broken
SELECT * FROM items WHERE queue = :queue AND problem IS NOT NULL ORDER BY id;
-- name: page
SELECT n.* FROM unnest(:queues::text[]) AS q (queue) CROSS JOIN unnest(:states::text[]) AS s (state)
CROSS JOIN LATERAL (
    SELECT i.* FROM items i
    WHERE i.queue = q.queue AND i.state = s.state AND (i.created, i.id) < (:created::timestamptz, :id::text)
    ORDER BY i.created DESC, i.id DESC LIMIT :count) n
ORDER BY n.created DESC, n.id DESC LIMIT :count;
-- name: page_of_creator
SELECT * FROM items
WHERE creator = :creator AND (created, id) < (:created::timestamptz, :id::text) AND queue = ANY(:queues::text[])
    AND state = ANY(:states::text[])
ORDER BY created DESC, id DESC LIMIT :count;
-- name: all_places
SELECT queue, state, id FROM items ORDER BY queue, state, id;
-- name: at
SELECT * FROM items WHERE queue = :queue AND id = :id AND state = :state;
