-- Everything of one vault, in a schema of its own. What is here is what all migrations make; a change is a migration.

CREATE TABLE versions (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Documents

CREATE SEQUENCE document_ticks;              -- keeps stamps apart that fall into one microsecond
CREATE TABLE documents (
    path text COLLATE "C" PRIMARY KEY,
    folder text COLLATE "C" NOT NULL,        -- the path without its name; empty at the top
    is_hidden boolean NOT NULL,              -- a part of the path begins with a dot
    version text NOT NULL,                   -- SHA-256 of the data, hex
    mtime_ns bigint NOT NULL,
    size integer NOT NULL,
    write_id bytea NOT NULL,                 -- of the call that wrote it, so that it knows its work again
    data bytea NOT NULL
);
CREATE INDEX documents_folder ON documents (folder, path);
CREATE INDEX documents_shown ON documents (path) WHERE NOT is_hidden;

-- Chains

CREATE TABLE turns (
    stream text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,                -- counts appends: who knows the newest knows the heads
    epoch bigint NOT NULL DEFAULT 0          -- counts what was put in before other lines: older positions are void
);
CREATE TABLE days (
    path text COLLATE "C" PRIMARY KEY,       -- of the day file that its lines make
    folder text COLLATE "C" NOT NULL,
    mtime_ns bigint NOT NULL,
    size bigint NOT NULL
);
CREATE INDEX days_folder ON days (folder, path);
CREATE TABLE lines (
    stream text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,           -- YYYY-MM-DD
    start bigint NOT NULL,                   -- where in the day file it begins
    line bytea NOT NULL,                     -- without its newline
    is_open boolean NOT NULL DEFAULT false,  -- the newline is missing: the last line of a file that was put in
    is_learned boolean NOT NULL DEFAULT false, -- the columns below say what is in the line
    writer bytea,
    seq bigint,
    hash text,
    key_hash bytea,                          -- of writer and key
    PRIMARY KEY (stream, day, start)
);
CREATE INDEX lines_heads ON lines (stream, writer, seq DESC) WHERE seq IS NOT NULL;
CREATE INDEX lines_keys ON lines (stream, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX lines_new ON lines (stream) WHERE NOT is_learned;

-- What can be read by its path
CREATE VIEW files AS
    SELECT path, folder, is_hidden, mtime_ns, size::bigint AS size FROM documents
    UNION ALL
    SELECT path, folder, false, mtime_ns, size FROM days;

-- Items. The record is the item's file; a claim leaves it as it is and stands beside it.

CREATE SEQUENCE item_seq;
CREATE TABLE items (
    id text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    seq bigint NOT NULL,
    priority integer NOT NULL,
    lane smallint NOT NULL,                  -- 0 not to be had, 1 claimable, 2 waits for its time, 3 parked on a conflict key
    needs text COLLATE "C" NOT NULL,         -- canonical JSON
    keys text COLLATE "C" NOT NULL,          -- conflict keys, a JSON list
    parked text COLLATE "C",                 -- on which of them
    creator text COLLATE "C",
    created timestamptz NOT NULL,
    wake timestamptz,
    expires timestamptz,
    lease_end timestamptz,
    problem text,
    token text,                              -- these four: the claim that the record does not know of
    holder text,
    claimed_at timestamptz,
    lease_seconds double precision,
    is_exact boolean NOT NULL,               -- the record is the item's file to the byte
    record bytea NOT NULL,
    PRIMARY KEY (id, queue)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX items_claimable ON items (queue, needs, priority DESC, seq) WHERE lane = 1;
CREATE INDEX items_timed ON items (queue, wake) WHERE lane = 2;
CREATE INDEX items_parked ON items (queue, parked, priority DESC, seq) WHERE lane = 3;
CREATE INDEX items_leased ON items (queue, lease_end) WHERE state = 'leased';
CREATE INDEX items_expiring ON items (queue, expires) WHERE expires IS NOT NULL AND state IN ('held', 'ready', 'failed');
CREATE INDEX items_state ON items (queue, state, created DESC, id DESC);
CREATE INDEX items_creator ON items (creator, created DESC, id DESC) WHERE creator IS NOT NULL;
CREATE INDEX items_broken ON items (queue) WHERE problem IS NOT NULL;

CREATE TABLE held_keys (
    queue text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,            -- the leased item that holds it
    PRIMARY KEY (queue, key)
);
