-- name: seals
SELECT state, seal FROM folders WHERE queue = :queue;
-- name: set_seal
INSERT INTO folders (queue, state, seal) VALUES (:queue, :state, :seal)
ON CONFLICT (queue, state) DO UPDATE SET seal = excluded.seal;
-- name: put_item
INSERT OR REPLACE INTO items
    (queue, id, state, revision, seq, priority, needs, keys, lane, parked, creator, created, wake, expires, lease_end,
     mtime_ns, size, problem)
VALUES
    (:queue, :id, :state, :revision, :seq, :priority, :needs, :keys, :lane, NULL, :creator, :created, :wake, :expires,
     :lease_end, :mtime_ns, :size, :problem);
-- name: in_state
SELECT id, mtime_ns, size FROM items WHERE queue = :queue AND state = :state;
