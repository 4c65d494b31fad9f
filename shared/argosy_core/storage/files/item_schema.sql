-- What the files of the queues say, in the order they are asked for. Rebuilt from the files whenever it is not there;
-- a change here needs the next SCHEMA_VERSION.

CREATE TABLE folders (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    seal INTEGER NOT NULL,                   -- modification time of the folder when all of it was known
    PRIMARY KEY (queue, state)
) WITHOUT ROWID;

-- lane: 0 not to be had, 1 claimable, 2 waits for its time (wake), 3 parked until nobody holds the conflict key parked.
-- Of the items parked on a key that nobody holds, there is always one on lane 1 with that key: the next to have it.
CREATE TABLE items (
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    needs TEXT NOT NULL,                     -- canonical JSON
    keys TEXT NOT NULL,                      -- conflict keys, a JSON list
    lane INTEGER NOT NULL,
    parked TEXT,
    creator TEXT,
    created REAL NOT NULL,
    wake REAL,
    expires REAL,
    lease_end REAL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    problem TEXT,
    PRIMARY KEY (queue, id)
);
CREATE INDEX items_claimable ON items (queue, needs, priority DESC, seq) WHERE lane = 1;
CREATE INDEX items_timed ON items (queue, wake) WHERE lane = 2;
CREATE INDEX items_parked ON items (queue, parked, priority DESC, seq) WHERE lane = 3;
CREATE INDEX items_expiring ON items (queue, expires) WHERE expires IS NOT NULL AND state IN ('held', 'ready', 'failed');
CREATE INDEX items_leased ON items (queue, lease_end) WHERE state = 'leased';
CREATE INDEX items_seq ON items (queue, seq);
CREATE INDEX items_id ON items (id);
CREATE INDEX items_age ON items (created DESC, id DESC);
CREATE INDEX items_state ON items (queue, state, created DESC, id DESC);
CREATE INDEX items_queue ON items (queue, created DESC, id DESC);
CREATE INDEX items_creator ON items (creator, created DESC, id DESC);
CREATE INDEX items_broken ON items (queue) WHERE problem IS NOT NULL;

CREATE TABLE held_keys (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    id TEXT NOT NULL,                        -- the leased item that holds it
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;
