-- What a new database is made with. It equals all migrations together; a change is a new file in migrations/ and here.

-- Documents, and the days of logs, by their place. A folder is "" or ends in "/", so all that is below a folder is one
-- range of the key. A document has its content, a day has its lines.
CREATE TABLE files (
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    version TEXT,                            -- SHA-256 in hex; of documents only
    content INTEGER,
    day INTEGER,
    PRIMARY KEY (folder, name)
) WITHOUT ROWID;

CREATE TABLE contents (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

-- The newest stamp that a removed document had: what is made later at its place gets a newer one.
CREATE TABLE removed (
    mtime_ns INTEGER NOT NULL
);
INSERT INTO removed (mtime_ns) VALUES (0);

CREATE TABLE days (
    id INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    path TEXT NOT NULL,
    is_open INTEGER NOT NULL                 -- whether its last line, put in with the file, has no newline
);
CREATE UNIQUE INDEX days_path ON days (stream, path);

-- Every line of a day as it is in the file, its own end included, from the byte start on. The other columns are those
-- of a line that an entry can follow on.
CREATE TABLE lines (
    id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stream TEXT NOT NULL,
    writer TEXT,
    seq INTEGER,
    hash TEXT,
    key TEXT,
    line BLOB NOT NULL
);
CREATE UNIQUE INDEX lines_place ON lines (day, start);
CREATE INDEX lines_head ON lines (stream, writer, seq) WHERE seq IS NOT NULL;
CREATE INDEX lines_key ON lines (stream, writer, key) WHERE key IS NOT NULL;

-- lane: 0 not to be had, 1 claimable, 2 waits for its time (wake), 3 parked until nobody holds the conflict key parked.
-- Of the items parked on a key that nobody holds, there is always one on lane 1 with that key: the next to have it.
CREATE TABLE items (
    seq INTEGER NOT NULL,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    parked TEXT,
    created REAL NOT NULL,
    wake REAL,
    expires REAL,
    lease_end REAL,
    creator TEXT,
    needs TEXT NOT NULL,                     -- canonical JSON
    keys TEXT NOT NULL,                      -- conflict keys, a JSON list
    problem TEXT,
    is_given INTEGER NOT NULL,               -- whether record is a file that was put in, as it was
    record BLOB NOT NULL                     -- the item: the columns only repeat what is asked for
);
CREATE UNIQUE INDEX items_id ON items (id, queue);
CREATE INDEX items_claimable ON items (queue, needs, priority DESC, seq) WHERE lane = 1;
CREATE INDEX items_timed ON items (queue, wake) WHERE lane = 2;
CREATE INDEX items_parked ON items (queue, parked, priority DESC, seq) WHERE lane = 3;
CREATE INDEX items_expiring ON items (queue, expires) WHERE expires IS NOT NULL AND state IN ('held', 'ready', 'failed');
CREATE INDEX items_leased ON items (queue, lease_end) WHERE state = 'leased';
CREATE INDEX items_seq ON items (queue, seq);
CREATE INDEX items_age ON items (created DESC, id DESC);
CREATE INDEX items_state ON items (queue, state, created DESC, id DESC);
CREATE INDEX items_queue ON items (queue, created DESC, id DESC);
CREATE INDEX items_creator ON items (creator, created DESC, id DESC) WHERE creator IS NOT NULL;
CREATE INDEX items_broken ON items (queue) WHERE problem IS NOT NULL;

CREATE TABLE held_keys (
    queue TEXT NOT NULL,
    key TEXT NOT NULL,
    id TEXT NOT NULL,                        -- the leased item that holds it
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;

-- What changed lately, a row for each transaction: how other processes hear of it. Older rows are removed.
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    paths TEXT NOT NULL                      -- one a line
);
