-- The index of documents. Nothing here is truth: it is made anew when it is gone, and filled from the documents.

CREATE TABLE index_life (
    generation text NOT NULL,                -- another value: another index, to be filled anew
    version integer NOT NULL                 -- of the way texts are cut into words
);
CREATE TABLE index_shelves (                 -- a shelf holds one scope of one agent
    shelf integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    documents bigint NOT NULL DEFAULT 0,
    is_filled boolean NOT NULL DEFAULT false, -- a whole listing was brought in once
    UNIQUE (agent, scope)
);
CREATE TABLE index_documents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- a later id is a later text
    shelf integer NOT NULL,
    hidden boolean NOT NULL,
    pinned boolean NOT NULL,
    is_long boolean NOT NULL,                -- not every place of a word is in words
    day_number integer NOT NULL,             -- day as a proleptic ordinal, 0 when it is no date
    mtime_ns bigint NOT NULL,
    size bigint NOT NULL,
    digest bytea NOT NULL,                   -- of the indexed text
    meaning bytea NOT NULL,                  -- digest of the text that a vector is made of
    path text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    stem text COLLATE "C" NOT NULL,          -- what a link to it says
    type text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    expires text COLLATE "C" NOT NULL,
    tags text COLLATE "C" NOT NULL,          -- each between unit separators
    title text NOT NULL,
    description text NOT NULL,
    extra text NOT NULL,
    body text NOT NULL,
    words tsvector NOT NULL                  -- weights: A title, B description, C tags, D body
);
CREATE UNIQUE INDEX index_documents_path ON index_documents (path);
CREATE INDEX index_documents_day ON index_documents (shelf, day DESC);
CREATE INDEX index_documents_name ON index_documents (shelf, name);
CREATE INDEX index_documents_stem ON index_documents (stem);
CREATE INDEX index_documents_meaning ON index_documents (meaning);
CREATE INDEX index_documents_words ON index_documents USING gin (words) WITH (fastupdate = off);
CREATE TABLE index_links (
    target text COLLATE "C" NOT NULL,        -- a stem, whether a document has it or not
    id bigint NOT NULL,                      -- the document that holds the link
    PRIMARY KEY (target, id)
);
CREATE INDEX index_links_id ON index_links (id);
CREATE TABLE index_embeddings (              -- vectors by model and by the text they are of
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text COLLATE "C" NOT NULL,
    meaning bytea NOT NULL,
    vector bytea NOT NULL,                   -- 32-bit floats, little-endian, of length 1
    signature bytea NOT NULL,                -- a bit for each float: whether it is positive
    UNIQUE (model, meaning)
);
CREATE TABLE index_claims (                  -- who embeds what now; a claim ends by itself
    model text COLLATE "C" NOT NULL,
    meaning bytea NOT NULL,
    until double precision NOT NULL,
    PRIMARY KEY (model, meaning)
);
