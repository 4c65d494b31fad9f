-- One file for all agents of a vault; deleting it loses nothing. A change here needs the next SCHEMA_VERSION.
-- Each agent has a full-text table of its own (fts_<agent>, created with its first document; see queries.sql), so
-- that neither the statistics nor the posting lists of one agent cost another anything.

CREATE TABLE meta (
    generation TEXT NOT NULL                 -- another value: another file, to be filled anew
);
INSERT INTO meta VALUES (lower(hex(randomblob(8))));

CREATE TABLE agents (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- A shelf holds one scope of one agent. Its documents have ids in a range of their own, visible ones in
-- [2*shelf << 32, ...), hidden ones in [(2*shelf + 1) << 32, ...): a full-text query over one range reads nothing else.
CREATE TABLE shelves (
    shelf INTEGER PRIMARY KEY,
    agent INTEGER NOT NULL REFERENCES agents (number),
    scope TEXT NOT NULL,
    next INTEGER NOT NULL DEFAULT 1,         -- lower half of the next id; a later id is a later text
    documents INTEGER NOT NULL DEFAULT 0,
    filled INTEGER NOT NULL DEFAULT 0,       -- 1 once a whole listing was brought in
    UNIQUE (agent, scope)
);

CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    shelf INTEGER NOT NULL REFERENCES shelves (shelf),
    hidden INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    day_number INTEGER NOT NULL,             -- day as a proleptic ordinal, 0 when it is no date
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,                    -- of the indexed text: equal digests need no new full-text row
    meaning BLOB NOT NULL,                   -- digest of the text that a vector is made of
    expires TEXT NOT NULL,
    type TEXT NOT NULL,
    day TEXT NOT NULL,
    tags TEXT NOT NULL,                      -- each between unit separators
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    stem TEXT NOT NULL,                      -- what a link to it says
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    extra TEXT NOT NULL,
    body TEXT                                -- NULL when the full-text table holds the very same text
);
CREATE UNIQUE INDEX documents_path ON documents (path);
CREATE INDEX documents_name ON documents (shelf, name);
CREATE INDEX documents_stem ON documents (stem);
CREATE INDEX documents_meaning ON documents (meaning);
CREATE INDEX documents_day ON documents (shelf, day DESC, path, type, hidden, pinned);
CREATE INDEX documents_pinned ON documents (shelf, day DESC, path) WHERE pinned = 1;

CREATE TABLE links (
    target TEXT NOT NULL,                    -- a stem, whether a document has it or not
    id INTEGER NOT NULL,                     -- the document that holds the link
    PRIMARY KEY (target, id)
) WITHOUT ROWID;
CREATE INDEX links_id ON links (id);

-- Vectors by model and by the text they are of: no text is embedded twice, whatever becomes of its document.
CREATE TABLE embeddings (
    number INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    meaning BLOB NOT NULL,
    vector BLOB NOT NULL,                    -- 32-bit floats, little-endian, of length 1
    signature BLOB NOT NULL,                 -- a bit for each float: whether it is positive
    UNIQUE (model, meaning)
);

-- Who embeds what now, so that two processes do not both. A claim ends by itself.
CREATE TABLE embedding_claims (
    model TEXT NOT NULL,
    meaning BLOB NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (model, meaning)
) WITHOUT ROWID;
