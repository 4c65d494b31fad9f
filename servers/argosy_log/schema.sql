-- The log as it is asked for. Rebuilt from the streams whenever it is not there; a change here needs the next
-- SCHEMA_VERSION of event_index.py.

CREATE TABLE meta (
    generation TEXT NOT NULL                 -- another value: another file, to be filled anew
);
INSERT INTO meta VALUES (lower(hex(randomblob(16))));

CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    position TEXT NOT NULL,                  -- of the chain: where reading goes on
    rereads INTEGER NOT NULL DEFAULT 0       -- 1 while lines are compared with what is held of them
);

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    seen INTEGER NOT NULL DEFAULT 0,         -- lines read of it, in this pass
    lines INTEGER NOT NULL DEFAULT 0,        -- lines held of it; more than seen only while the stream is read again
    place INTEGER NOT NULL                   -- of its last event
);
CREATE INDEX files_of_stream ON files (stream, path);

-- The newest entry of each writer, and when it was written: what an anchor is made of.
CREATE TABLE writers (
    stream INTEGER NOT NULL,
    writer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (stream, writer)
) WITHOUT ROWID;

-- Redactions that the log's own events name; done: the line was seen without its text.
CREATE TABLE redactions (
    stream TEXT NOT NULL,
    writer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, writer, seq)
) WITHOUT ROWID;

-- A line's id is its file's id × 2^32 + its number, from 0.
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    place INTEGER,                           -- of its event; NULL for a line that is none
    text BLOB NOT NULL
);
CREATE INDEX bodies_damaged ON bodies (id) WHERE place IS NULL;

-- What events are grouped and filtered by; '' where an event does not say. named: the agents that an event of the
-- fleet's stream is about, each between two line ends.
CREATE TABLE combos (
    id INTEGER PRIMARY KEY,
    stream TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    tool TEXT NOT NULL,
    status TEXT NOT NULL,
    server TEXT NOT NULL,
    named TEXT NOT NULL,
    UNIQUE (stream, kind, agent, model, tool, status, server, named)
);

-- place: the event's time (microseconds), never before that of the line above it and near the day of its file.
-- run, parent: keys of their ids. at: its own time in microseconds. cost in nanodollars, latency in microseconds.
CREATE TABLE events (
    place INTEGER NOT NULL,
    id INTEGER NOT NULL,
    combo INTEGER NOT NULL,
    run INTEGER,
    parent INTEGER,
    at INTEGER,
    cost INTEGER,
    tokens_in INTEGER,
    tokens_out INTEGER,
    latency INTEGER,
    PRIMARY KEY (place, id)
) WITHOUT ROWID;
CREATE INDEX events_of_combo ON events (combo);
CREATE INDEX events_of_run ON events (run) WHERE run IS NOT NULL;
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_below ON events (parent) WHERE parent IS NOT NULL;

-- Sums by hour (grain 0) and by day (grain 1) of the events' own time (span -1 without one), kept for each file so
-- that one can be taken back.
CREATE TABLE sums (
    grain INTEGER NOT NULL,
    file INTEGER NOT NULL,
    span INTEGER NOT NULL,
    combo INTEGER NOT NULL,
    events INTEGER NOT NULL,
    cost_n INTEGER NOT NULL, cost INTEGER NOT NULL,
    tokens_in_n INTEGER NOT NULL, tokens_in INTEGER NOT NULL,
    tokens_out_n INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
    latency_n INTEGER NOT NULL, latency INTEGER NOT NULL,
    PRIMARY KEY (grain, file, span, combo)
) WITHOUT ROWID;

-- How values lie, by day: JSON object, number of a bucket (histogram.py) → how many.
CREATE TABLE spreads (
    file INTEGER NOT NULL,
    span INTEGER NOT NULL,
    combo INTEGER NOT NULL,
    measure TEXT NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (file, span, combo, measure)
);
