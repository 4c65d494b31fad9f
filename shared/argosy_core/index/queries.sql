-- Named statements. {fts} is the full-text table of one agent.

-- name: generation
SELECT generation FROM meta;

-- name: create_fts
CREATE VIRTUAL TABLE {fts} USING fts5 (title, description, tags, body, marks, tokenize = "{tokenizer}");

-- name: set_merge
INSERT INTO {fts} ({fts}, rank) VALUES ('usermerge', 2);

-- name: agent
SELECT number FROM agents WHERE name = :agent;

-- name: add_agent
INSERT INTO agents (name) VALUES (:agent) RETURNING number;

-- name: shelf
SELECT shelf, agent, next FROM shelves JOIN agents ON number = agent WHERE name = :agent AND scope = :scope;

-- name: shelves
SELECT shelf, agent, scope, documents, filled FROM shelves JOIN agents ON number = agent WHERE name = :agent;

-- name: owner
SELECT agent FROM shelves WHERE shelf = :shelf;

-- name: add_shelf
INSERT INTO shelves (agent, scope) VALUES (:agent, :scope) RETURNING shelf, agent, next;

-- name: count_up
UPDATE shelves SET next = next + :ids, documents = documents + :documents WHERE shelf = :shelf;

-- name: mark_filled
UPDATE shelves SET filled = 1 WHERE shelf = :shelf;

-- name: held
SELECT id, shelf, hidden, digest, mtime_ns, size FROM documents WHERE path = :path;

-- name: stamps
SELECT path, mtime_ns, size FROM documents WHERE id BETWEEN :first AND :last;

-- name: add_document
INSERT INTO documents (
    id, shelf, hidden, pinned, day_number, mtime_ns, size, digest, meaning, expires, type, day, tags, path, name, stem,
    title, description, extra, body
) VALUES (
    :id, :shelf, :hidden, :pinned, :day_number, :mtime_ns, :size, :digest, :meaning, :expires, :type, :day, :tags,
    :path, :name, :stem, :title, :description, :extra, :body
);

-- name: add_link
INSERT OR IGNORE INTO links (target, id) VALUES (:target, :id);

-- name: remove_links
DELETE FROM links WHERE id = :id;

-- name: touch_document
UPDATE documents
SET pinned = :pinned, day_number = :day_number, mtime_ns = :mtime_ns, size = :size, expires = :expires, day = :day,
    extra = :extra
WHERE id = :id;

-- name: remove_document
DELETE FROM documents WHERE id = :id;

-- name: add_text
INSERT INTO {fts} (rowid, title, description, tags, body, marks)
VALUES (:id, :fts_title, :fts_description, :fts_tags, :fts_body, :marks);

-- name: remove_text
DELETE FROM {fts} WHERE rowid = :id;

-- name: merge
-- A negative number of pages begins a merge of all segments into one; a positive one goes on with that, or merges
-- the segments of a level that has at least two (usermerge).
INSERT INTO {fts} ({fts}, rank) VALUES ('merge', :pages);

-- name: text
SELECT body FROM {fts} WHERE rowid = :id;

-- name: texts
SELECT rowid, body FROM {fts} WHERE rowid IN (SELECT value FROM json_each(:ids));

-- name: frequency
SELECT count(*) FROM (SELECT 1 FROM {fts} WHERE {fts} MATCH :match LIMIT :most);

-- name: search
-- The inner query reads at most :most matches, the latest texts first, and lets FTS5 score those. `matched` comes with
-- every row; rows that the filters rule out sort last, so that it is known even when nothing is left. Only the :close
-- best have their documents looked up: a recency factor of at most 1.25 lifts nothing from farther down.
WITH matches AS MATERIALIZED (
    SELECT rowid AS id, bm25({fts}, 6.0, 3.0, 3.0, 1.0, 0.0) AS score
    FROM {fts}
    WHERE {fts} MATCH :match AND rowid BETWEEN :first AND :last
    ORDER BY rowid DESC
    LIMIT :most
)
SELECT
    (SELECT count(*) FROM matches) AS matched,
    (:all OR documents.expires = '' OR documents.expires >= :today)
    AND (:types = '' OR instr(:types, char(31) || type || char(31)) > 0)
    AND (:tags = '[]' OR NOT EXISTS (
        SELECT 1 FROM json_each(:tags) WHERE instr(lower(tags), char(31) || lower(value) || char(31)) = 0
    )) AS allowed,
    -matches.score AS bm25,
    1.0 + :boost / (1.0 + max(0, :today_number - day_number) / :half_days) AS recency,
    -matches.score * (1.0 + :boost / (1.0 + max(0, :today_number - day_number) / :half_days)) AS rank_score,
    documents.id, path, name, title, type, description, day, extra, tags, hidden, body
FROM (SELECT id, score FROM matches ORDER BY score LIMIT :close) AS matches
JOIN documents ON documents.id = matches.id
ORDER BY allowed DESC, rank_score DESC, documents.id DESC
LIMIT :limit;

-- name: document
SELECT documents.*, agents.name AS agent_name, agents.number AS agent, scope
FROM documents JOIN shelves USING (shelf) JOIN agents ON agents.number = shelves.agent
WHERE path = :path;

-- name: named
SELECT * FROM documents WHERE shelf = :shelf AND name = :name ORDER BY path;

-- name: list
SELECT * FROM documents
WHERE shelf = :shelf
    AND day <= :day AND (day < :day OR path > :path)
    AND (:hidden IS NULL OR hidden = :hidden)
    AND (:pinned IS NULL OR pinned = :pinned)
    AND (:types = '' OR instr(:types, char(31) || type || char(31)) > 0)
    AND (:tags = '[]' OR NOT EXISTS (
        SELECT 1 FROM json_each(:tags) WHERE instr(lower(tags), char(31) || lower(value) || char(31)) = 0
    ))
ORDER BY day DESC, path
LIMIT :limit;

-- name: list_pinned
-- As `list`, over the index that holds only pinned documents.
SELECT * FROM documents INDEXED BY documents_pinned
WHERE shelf = :shelf AND pinned = 1
    AND day <= :day AND (day < :day OR path > :path)
    AND (:hidden IS NULL OR hidden = :hidden)
    AND (:types = '' OR instr(:types, char(31) || type || char(31)) > 0)
    AND (:tags = '[]' OR NOT EXISTS (
        SELECT 1 FROM json_each(:tags) WHERE instr(lower(tags), char(31) || lower(value) || char(31)) = 0
    ))
ORDER BY day DESC, path
LIMIT :limit;

-- name: links
SELECT target FROM links WHERE id = :id ORDER BY target;

-- name: linking
-- Documents that link to a stem, visible ones only, newest first.
SELECT documents.*, scope FROM links
JOIN documents USING (id) JOIN shelves USING (shelf) JOIN agents ON agents.number = shelves.agent
WHERE target = :target AND agents.name = :agent AND hidden = 0
ORDER BY day DESC, path LIMIT :limit;

-- name: stemmed
SELECT documents.*, scope FROM documents
JOIN shelves USING (shelf) JOIN agents ON agents.number = shelves.agent
WHERE stem = :stem AND agents.name = :agent ORDER BY hidden, scope, path;

-- name: unresolved
-- Links of visible documents to stems that no document has.
SELECT target, path FROM documents
JOIN shelves USING (shelf) JOIN agents ON agents.number = shelves.agent JOIN links USING (id)
WHERE agents.name = :agent AND scope = :scope AND hidden = 0 AND NOT EXISTS (
    SELECT 1 FROM documents AS other JOIN shelves AS theirs ON theirs.shelf = other.shelf
    WHERE other.stem = target AND theirs.agent = agents.number
)
ORDER BY path, target LIMIT :limit;

-- name: scan
SELECT documents.*, coalesce(documents.body, texts.body) AS text
FROM documents JOIN {fts} AS texts ON texts.rowid = documents.id
WHERE shelf = :shelf AND documents.id > :after ORDER BY documents.id LIMIT :limit;

-- name: state
-- Changes whenever a document of the shelf does.
SELECT count(*), max(id), sum(mtime_ns / 1000000 % 100000007), sum(size) FROM documents WHERE shelf = :shelf;

-- name: vectors_new
-- Signatures of documents that came after :id, and of those whose text was embedded after :number.
SELECT documents.id, number, signature FROM documents
CROSS JOIN embeddings ON embeddings.model = :model AND embeddings.meaning = documents.meaning
WHERE documents.id BETWEEN :first AND :last AND documents.id > :id
UNION
SELECT documents.id, number, signature FROM embeddings
CROSS JOIN documents ON documents.meaning = embeddings.meaning
WHERE number > :number AND model = :model AND documents.id BETWEEN :first AND :last;

-- name: vectors_of
-- CROSS JOIN keeps the order: else every vector of the model may be looked at.
SELECT documents.id, vector,
    (:all OR documents.expires = '' OR documents.expires >= :today)
    AND (:types = '' OR instr(:types, char(31) || documents.type || char(31)) > 0)
    AND (:tags = '[]' OR NOT EXISTS (
        SELECT 1 FROM json_each(:tags) AS asked
        WHERE instr(lower(documents.tags), char(31) || lower(asked.value) || char(31)) = 0
    )) AS allowed
FROM json_each(:ids) AS wanted
CROSS JOIN documents ON documents.id = wanted.value
CROSS JOIN embeddings ON embeddings.model = :model AND embeddings.meaning = documents.meaning;

-- name: documents_of
SELECT documents.* FROM json_each(:ids) AS wanted CROSS JOIN documents ON documents.id = wanted.value;

-- name: vectorless
-- Documents of a shelf whose text has no vector yet and is not being embedded by anybody.
SELECT documents.id, meaning, documents.title, documents.description, coalesce(documents.body, texts.body) AS text
FROM documents JOIN {fts} AS texts ON texts.rowid = documents.id
WHERE documents.id BETWEEN :first AND :last AND documents.id > :after
    AND NOT EXISTS (SELECT 1 FROM embeddings WHERE embeddings.meaning = documents.meaning AND model = :model)
    AND NOT EXISTS (
        SELECT 1 FROM embedding_claims AS claims
        WHERE claims.meaning = documents.meaning AND claims.model = :model AND until > :now
    )
ORDER BY documents.id LIMIT :limit;

-- name: claims
SELECT count(*) FROM embedding_claims WHERE model = :model AND until > :now;

-- name: last_id
SELECT max(id) FROM documents WHERE id BETWEEN :first AND :last;

-- name: claim
INSERT INTO embedding_claims (model, meaning, until) VALUES (:model, :meaning, :until)
ON CONFLICT (model, meaning) DO UPDATE SET until = excluded.until;

-- name: unclaim
DELETE FROM embedding_claims WHERE model = :model AND meaning = :meaning;

-- name: add_vector
INSERT OR IGNORE INTO embeddings (model, meaning, vector, signature) VALUES (:model, :meaning, :vector, :signature);

-- name: count_vectors
SELECT count(*) FROM documents JOIN embeddings ON embeddings.meaning = documents.meaning AND model = :model
WHERE documents.id BETWEEN :first AND :last;
