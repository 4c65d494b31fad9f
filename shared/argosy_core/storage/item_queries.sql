-- What every substrate asks of its table `items` (and `held_keys`, the conflict keys of leased items).
-- lane: 0 not to be had, 1 claimable, 2 waits for its time (wake), 3 parked until nobody holds the conflict key parked.

-- name: item
SELECT * FROM items WHERE queue = :queue AND id = :id;
-- name: queue_of
SELECT queue FROM items WHERE id = :id ORDER BY queue LIMIT 1;
-- name: drop_item
DELETE FROM items WHERE queue = :queue AND id = :id;
-- name: last_seq
SELECT coalesce(max(seq), 0) FROM items WHERE queue = :queue;
-- name: hold_key
INSERT OR REPLACE INTO held_keys (queue, key, id) VALUES (:queue, :key, :id);
-- name: free_keys
DELETE FROM held_keys WHERE queue = :queue AND id = :id;
-- name: holder
SELECT id FROM held_keys WHERE queue = :queue AND key = :key;
-- name: wake_timed
UPDATE items SET lane = 1 WHERE queue = :queue AND lane = 2 AND wake <= :now;
-- name: all_needs
WITH RECURSIVE found (needs) AS (
    SELECT min(needs) FROM items WHERE queue = :queue AND lane = 1
    UNION ALL
    SELECT (SELECT min(i.needs) FROM items i WHERE i.queue = :queue AND i.lane = 1 AND i.needs > found.needs)
    FROM found WHERE found.needs IS NOT NULL
)
SELECT needs FROM found WHERE needs IS NOT NULL;
-- name: head
SELECT id, state, priority, seq, keys FROM items
WHERE queue = :queue AND lane = 1 AND needs = :needs ORDER BY priority DESC, seq LIMIT 1;
-- name: set_lane
UPDATE items SET lane = :lane WHERE queue = :queue AND id = :id;
-- name: park
UPDATE items SET lane = 3, parked = :key WHERE queue = :queue AND id = :id;
-- name: wake_parked
UPDATE items SET lane = 1, parked = NULL WHERE queue = :queue AND id = (
    SELECT id FROM items WHERE queue = :queue AND lane = 3 AND parked = :key ORDER BY priority DESC, seq LIMIT 1
);
-- name: abandoned
SELECT id, state FROM items WHERE queue = :queue AND state = 'leased' AND lease_end <= :now ORDER BY lease_end LIMIT :count;
-- name: expired
SELECT id, state FROM items
WHERE queue = :queue AND expires <= :now AND expires IS NOT NULL AND state IN ('held', 'ready', 'failed')
ORDER BY expires LIMIT :count;
-- name: waiting
SELECT id, state FROM items
WHERE queue = :queue AND state IN ('held', 'ready', 'failed') AND problem IS NULL LIMIT :count;
-- name: counts
SELECT state, count(*) AS number FROM items
WHERE (:queue IS NULL OR queue = :queue) AND (:creator IS NULL OR creator = :creator) GROUP BY state;
-- name: counts_of_queue
SELECT state, count(*) AS number FROM items WHERE queue = :queue GROUP BY state;
-- name: counts_of_all
SELECT state, count(*) AS number FROM items GROUP BY state;
-- name: ahead
SELECT count(*) FROM items
WHERE queue = :queue AND lane = 1 AND (priority > :priority OR (priority = :priority AND seq < :seq));
-- name: broken
SELECT id, state, problem FROM items WHERE queue = :queue AND problem IS NOT NULL;
-- name: page_of_state
SELECT queue, id, state, created FROM items
WHERE queue = :queue AND state = :state AND (created, id) < (:created, :id)
    AND (:creator IS NULL OR creator = :creator)
ORDER BY created DESC, id DESC LIMIT :count;
-- name: page_of_queue
SELECT queue, id, state, created FROM items
WHERE queue = :queue AND (created, id) < (:created, :id) AND (:creator IS NULL OR creator = :creator)
ORDER BY created DESC, id DESC LIMIT :count;
-- name: page_of_creator
SELECT queue, id, state, created FROM items
WHERE creator = :creator AND (created, id) < (:created, :id) AND (:state IS NULL OR state = :state)
ORDER BY created DESC, id DESC LIMIT :count;
-- name: page
SELECT queue, id, state, created FROM items
WHERE (created, id) < (:created, :id) AND (:state IS NULL OR state = :state)
ORDER BY created DESC, id DESC LIMIT :count;
