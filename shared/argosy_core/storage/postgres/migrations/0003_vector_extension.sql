-- Vectors that the database itself compares, where its server has the extension "vector" and lets us use it. May run
-- again when the extension came later. A vault's search path holds nothing but its schema, so the extension's type and
-- operator are named by where they lie, inside two functions.

DO $do$
DECLARE
    home text;
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'vector') THEN
        RETURN;
    END IF;
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'vector') THEN
            -- In a vault's own schema it would go away with that vault, for all others too.
            EXECUTE 'CREATE EXTENSION vector' || CASE
                WHEN has_schema_privilege(to_regnamespace('public')::oid, 'CREATE') THEN ' SCHEMA public' ELSE '' END;
        END IF;
    EXCEPTION WHEN OTHERS THEN
        NULL; -- we may not, or somebody else made it at the same time
    END;
    SELECT quote_ident(nspname) INTO home FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace n
    ON n.oid = extnamespace WHERE extname = 'vector' AND has_schema_privilege(n.oid, 'USAGE');
    IF home IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE index_embeddings ADD COLUMN IF NOT EXISTS near %s.vector', home); -- of "vector"
    ALTER TABLE index_embeddings ALTER COLUMN near SET STORAGE MAIN; -- in its row as long as it fits: a search reads all
    CREATE INDEX IF NOT EXISTS index_embeddings_far ON index_embeddings (number) WHERE near IS NULL;
    EXECUTE format('CREATE OR REPLACE FUNCTION index_vector(text) RETURNS %1$s.vector LANGUAGE sql IMMUTABLE STRICT '
        'PARALLEL SAFE AS ''SELECT $1::%1$s.vector''', home);
    -- The cosine of two vectors of length 1; the operator gives its negative.
    EXECUTE format('CREATE OR REPLACE FUNCTION index_likeness(%1$s.vector, %1$s.vector) RETURNS double precision '
        'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS ''SELECT -($1 OPERATOR(%1$s.<#>) $2)''', home);
END
$do$;
