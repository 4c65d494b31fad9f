-- name: life
SELECT generation, version FROM index_life;
-- name: begin_life
INSERT INTO index_life VALUES (:generation, :version);
-- name: drop
DROP TABLE IF EXISTS index_life, index_shelves, index_documents, index_links, index_embeddings, index_claims;
-- name: hold
-- One writer at a time, on whatever host.
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' the index of documents', 0));
-- name: shelves
SELECT shelf, scope, documents, is_filled FROM index_shelves WHERE agent = :agent;
-- name: add_shelf
INSERT INTO index_shelves (agent, scope) VALUES (:agent, :scope)
ON CONFLICT (agent, scope) DO UPDATE SET scope = excluded.scope RETURNING shelf;
-- name: count_up
UPDATE index_shelves SET documents = documents + :count::bigint WHERE shelf = :shelf;
-- name: mark_filled
UPDATE index_shelves SET is_filled = true WHERE shelf = :shelf;
-- name: held
SELECT id, path, digest, mtime_ns, size FROM index_documents WHERE path = ANY(:paths::text[]);
-- name: stamps
SELECT path, mtime_ns, size FROM index_documents JOIN index_shelves USING (shelf)
WHERE agent = :agent AND scope = :scope;
-- name: remove
WITH gone AS (DELETE FROM index_documents WHERE id = ANY(:ids::bigint[]) RETURNING id, shelf),
unlinked AS (DELETE FROM index_links WHERE id = ANY(:ids::bigint[]))
SELECT shelf, count(*) AS count FROM gone GROUP BY shelf;
-- name: touch
UPDATE index_documents SET pinned = :pinned::integer <> 0, day_number = :day_number, mtime_ns = :mtime_ns,
    size = :size, expires = :expires, day = :day, extra = :extra
WHERE id = :id;
-- name: add
INSERT INTO index_documents (shelf, hidden, pinned, is_long, day_number, mtime_ns, size, digest, meaning, path, name,
    stem, type, day, expires, tags, title, description, extra, body, words)
VALUES (:shelf, :hidden::integer <> 0, :pinned::integer <> 0, :is_long, :day_number, :mtime_ns, :size, :digest,
    :meaning, :path, :name, :stem, :type, :day, :expires, :tags, :title, :description, :extra, :body,
    :words::text::tsvector)
RETURNING id;
-- name: add_links
INSERT INTO index_links (target, id) SELECT target, :id FROM unnest(:targets::text[]) AS l (target)
ON CONFLICT DO NOTHING;
-- name: frequency
SELECT count(*) AS count FROM (
    SELECT 1 FROM index_documents JOIN index_shelves USING (shelf)
    WHERE agent = :agent AND (words @@ :match::text::tsquery OR (is_long AND words @@ :apart::text::tsquery))
    LIMIT :most) AS found;
-- name: search
-- The latest :most matches and those that hold the words outside their bodies. A long document does not know every
-- place of its words: there a phrase is taken as found when all its words are.
WITH found AS MATERIALIZED (
    SELECT id FROM index_documents
    WHERE (words @@ :match::text::tsquery OR (is_long AND words @@ :apart::text::tsquery))
        AND shelf = ANY(:shelves::integer[]) AND (:all::boolean OR (NOT hidden AND (expires = '' OR expires >= :today)))
        AND (:types = '' OR strpos(:types, chr(31) || type || chr(31)) > 0)
        AND NOT EXISTS (SELECT 1 FROM unnest(:tags::text[]) AS t (tag)
            WHERE strpos(lower(tags), chr(31) || lower(tag COLLATE "C") || chr(31)) = 0)
    ORDER BY id DESC LIMIT :most
), outside AS MATERIALIZED (
    SELECT id FROM index_documents
    WHERE (SELECT count(*) FROM found) >= :most::bigint AND words @@ :outside::text::tsquery
        AND shelf = ANY(:shelves::integer[]) AND (:all::boolean OR (NOT hidden AND (expires = '' OR expires >= :today)))
        AND (:types = '' OR strpos(:types, chr(31) || type || chr(31)) > 0)
        AND NOT EXISTS (SELECT 1 FROM unnest(:tags::text[]) AS t (tag)
            WHERE strpos(lower(tags), chr(31) || lower(tag COLLATE "C") || chr(31)) = 0)
    ORDER BY id DESC LIMIT :most_outside
), scored AS (
    SELECT id, (
        SELECT sum(weight * (0.001 + ts_rank('{0.167, 0.5, 0.5, 1.0}', words, term::tsquery, 1)))
        FROM unnest(:terms::text[], :weights::double precision[]) AS t (term, weight)
        WHERE words @@ term::tsquery
    ) AS score, 1.0 + :boost::double precision
        / (1.0 + greatest(0, :today_number::integer - day_number) / :half_days::double precision) AS recency
    FROM index_documents WHERE id IN (SELECT id FROM found UNION SELECT id FROM outside)
), best AS (
    SELECT id, coalesce(score, 0.001) AS bm25, recency, coalesce(score, 0.001) * recency AS rank_score
    FROM scored ORDER BY rank_score DESC, id DESC LIMIT :limit
)
SELECT id, bm25, recency, rank_score, path, name, title, type, description, day, extra, tags, hidden, body, scope
FROM best JOIN index_documents USING (id) JOIN index_shelves USING (shelf)
ORDER BY rank_score DESC, id DESC;
-- name: list
SELECT path, name, title, type, description, tags, mtime_ns, size, day, expires, pinned, hidden, extra
FROM index_documents JOIN index_shelves USING (shelf)
WHERE agent = :agent AND scope = :scope AND day <= :day AND (day < :day OR path > :path)
    AND (:hidden::boolean IS NULL OR hidden = :hidden) AND (:pinned::boolean IS NULL OR pinned = :pinned)
    AND (:types = '' OR strpos(:types, chr(31) || type || chr(31)) > 0)
    AND NOT EXISTS (SELECT 1 FROM unnest(:tags::text[]) AS t (tag)
        WHERE strpos(lower(tags), chr(31) || lower(tag COLLATE "C") || chr(31)) = 0)
ORDER BY day DESC, path LIMIT :limit;
-- name: document
SELECT d.*, agent, scope, ARRAY(SELECT target FROM index_links l WHERE l.id = d.id ORDER BY target) AS links
FROM index_documents d JOIN index_shelves USING (shelf) WHERE path = :path;
-- name: named
SELECT d.*, scope FROM index_documents d JOIN index_shelves USING (shelf)
WHERE agent = :agent AND scope = :scope AND name = :name ORDER BY path;
-- name: stemmed
SELECT d.*, scope FROM index_documents d JOIN index_shelves USING (shelf)
WHERE agent = :agent AND stem = :stem ORDER BY hidden, scope, path;
-- name: linking
SELECT d.*, scope FROM index_links JOIN index_documents d USING (id) JOIN index_shelves USING (shelf)
WHERE agent = :agent AND target = :target AND NOT hidden ORDER BY day DESC, path LIMIT :limit;
-- name: unresolved
SELECT path, target FROM index_documents d JOIN index_shelves USING (shelf) JOIN index_links USING (id)
WHERE agent = :agent AND scope = :scope AND NOT hidden AND NOT EXISTS (
    SELECT 1 FROM index_documents o JOIN index_shelves s ON s.shelf = o.shelf
    WHERE o.stem = target AND s.agent = :agent)
ORDER BY path, target LIMIT :limit;
-- name: scan
SELECT d.* FROM index_documents d JOIN index_shelves USING (shelf)
WHERE agent = :agent AND scope = :scope AND id > :after ORDER BY id LIMIT :limit;
-- name: state
SELECT count(*) AS count, max(id) AS last, sum(mtime_ns / 1000000 % 100000007) AS times, sum(size) AS size
FROM index_documents JOIN index_shelves USING (shelf) WHERE agent = :agent AND scope = :scope;
-- name: vectorless
SELECT DISTINCT ON (meaning) meaning, title, description, body FROM index_documents d
JOIN index_shelves USING (shelf)
WHERE agent = :agent AND scope = ANY(:scopes::text[])
    AND NOT EXISTS (SELECT 1 FROM index_embeddings e WHERE e.meaning = d.meaning AND model = :model)
    AND NOT EXISTS (SELECT 1 FROM index_claims c
        WHERE c.meaning = d.meaning AND model = :model AND until > :now::double precision)
ORDER BY meaning LIMIT :limit;
-- name: claim
INSERT INTO index_claims (model, meaning, until)
SELECT :model, meaning, :until FROM unnest(:meanings::bytea[]) AS m (meaning)
ON CONFLICT (model, meaning) DO UPDATE SET until = excluded.until;
-- name: unclaim
DELETE FROM index_claims WHERE model = :model AND meaning = ANY(:meanings::bytea[]);
-- name: add_vectors
INSERT INTO index_embeddings (model, meaning, vector, signature)
SELECT :model, meaning, vector, signature
FROM unnest(:meanings::bytea[], :vectors::bytea[], :signatures::bytea[]) AS v (meaning, vector, signature)
ON CONFLICT DO NOTHING;
-- name: count_vectors
SELECT count(*) AS count FROM index_documents d JOIN index_shelves USING (shelf)
JOIN index_embeddings e ON e.meaning = d.meaning AND model = :model
WHERE agent = :agent AND scope = ANY(:scopes::text[]);
-- name: signatures_new
SELECT number, meaning, signature FROM index_embeddings WHERE model = :model AND number > :number ORDER BY number;
-- name: allowed
SELECT id, meaning FROM index_documents
WHERE shelf = ANY(:shelves::integer[]) AND (:all::boolean OR (NOT hidden AND (expires = '' OR expires >= :today)))
    AND (:types = '' OR strpos(:types, chr(31) || type || chr(31)) > 0)
    AND NOT EXISTS (SELECT 1 FROM unnest(:tags::text[]) AS t (tag)
        WHERE strpos(lower(tags), chr(31) || lower(tag COLLATE "C") || chr(31)) = 0);
-- name: vectors_of
SELECT d.*, scope, vector FROM index_documents d JOIN index_shelves USING (shelf)
JOIN index_embeddings e ON e.meaning = d.meaning AND model = :model
WHERE d.id = ANY(:ids::bigint[]);
-- name: extension
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute
        WHERE attrelid = to_regclass('index_embeddings') AND attname = 'near' AND NOT attisdropped) AS is_used,
    EXISTS (SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'vector') AS is_there;
-- name: far
SELECT number, vector FROM index_embeddings WHERE near IS NULL ORDER BY number LIMIT :limit;
-- name: bring_near
UPDATE index_embeddings e SET near = index_vector(v.vector)
FROM unnest(:numbers::bigint[], :vectors::text[]) AS v (number, vector) WHERE e.number = v.number;
-- name: nearest
WITH asked AS MATERIALIZED (SELECT index_vector(:asked::text) AS vector), alike AS MATERIALIZED (
    SELECT id, CASE WHEN length(e.vector) = :bytes::integer THEN index_likeness(near, asked.vector) END AS similarity
    FROM index_documents d JOIN index_embeddings e ON e.meaning = d.meaning AND model = :model CROSS JOIN asked
    WHERE shelf = ANY(:shelves::integer[]) AND (:all::boolean OR (NOT hidden AND (expires = '' OR expires >= :today)))
        AND (:types = '' OR strpos(:types, chr(31) || type || chr(31)) > 0)
        AND NOT EXISTS (SELECT 1 FROM unnest(:tags::text[]) AS t (tag)
            WHERE strpos(lower(tags), chr(31) || lower(tag COLLATE "C") || chr(31)) = 0)
), best AS (
    SELECT id, similarity FROM alike WHERE similarity >= :least ORDER BY similarity DESC, id LIMIT :limit
)
SELECT d.*, scope, similarity FROM best JOIN index_documents d USING (id) JOIN index_shelves USING (shelf)
ORDER BY similarity DESC, id;
-- name: bodies
SELECT path, title, description, tags, body FROM index_documents WHERE path = ANY(:paths::text[]);
-- name: whole
SELECT count(*) AS tables, 6 AS wanted FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename IN
    ('index_life', 'index_shelves', 'index_documents', 'index_links', 'index_embeddings', 'index_claims');
