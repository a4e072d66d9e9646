-- Safe while running: adds two functions, and a column where Message DB's own scripts made the table.
-- The column takes the table for itself for a moment (no row is touched); it waits for writers, and
-- others wait behind it, so set a lock_timeout. Everything else locks nothing.
--
-- Writing many messages in one call. Nothing of Message DB is replaced, and what is used of it calls
-- nothing further, so that this runs on a schema made by its scripts as well, without a search_path.
-- Documents come as text: an array of jsonb is a third slower to send. To be run in one transaction.

DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute
        WHERE attrelid = 'message_store.messages'::pg_catalog.regclass AND attname = 'cardinal_hash'
    ) THEN
        ALTER TABLE message_store.messages ADD COLUMN cardinal_hash bigint;
    END IF;
END
$$;

-- Writes messages to the end of a stream, all or none, and returns the position of the last. The
-- expected version is that of write_message, and so are the errors. A batch of none checks the
-- expected version and returns the version of the stream, -1 where there is no stream.
CREATE FUNCTION message_store.append_messages(
    stream_name varchar,
    ids uuid[],
    types text[],
    data text[],
    metadata text[],
    expected_version bigint DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _count integer := cardinality(append_messages.ids);
    _hash bigint;
    _version bigint;
BEGIN
    IF _count IS NULL
        OR cardinality(append_messages.types) IS DISTINCT FROM _count
        OR cardinality(append_messages.data) IS DISTINCT FROM _count
        OR cardinality(append_messages.metadata) IS DISTINCT FROM _count
    THEN
        RAISE EXCEPTION 'ids, types, data and metadata must be arrays of one length'
            USING ERRCODE = 'array_subscript_error';
    END IF;

    -- An expression costs less than a statement, and the statement after it sees what was committed
    -- while we waited.
    IF pg_advisory_xact_lock(
        message_store.hash_64(message_store.category(append_messages.stream_name))
    ) IS NOT NULL THEN END IF;

    -- The table is nested so that the plan is kept, and the hash is on the last message already, as
    -- in write_message of 0001. One test for both: no stream, or a message of another writer.
    SELECT m.position, m.cardinal_hash INTO _version, _hash
    FROM (SELECT * FROM (SELECT * FROM message_store.messages) AS m) AS m
    WHERE m.stream_name = append_messages.stream_name
    ORDER BY m.position DESC
    LIMIT 1;
    IF _hash IS NULL THEN
        _version := coalesce(_version, -1);
        _hash := message_store.hash_64(
            split_part(message_store.id(append_messages.stream_name), '+', 1)
        );
    END IF;
    IF append_messages.expected_version <> _version THEN
        RAISE EXCEPTION 'Wrong expected version: % (Stream: %, Stream Version: %)',
            append_messages.expected_version, append_messages.stream_name, _version;
    END IF;

    INSERT INTO message_store.messages (
        id, stream_name, position, type, data, metadata, cardinal_hash
    )
    SELECT
        batch.id,
        append_messages.stream_name,
        _version + batch.n,
        batch.type,
        batch.data::jsonb,
        batch.metadata::jsonb,
        _hash
    FROM unnest(
        append_messages.ids, append_messages.types, append_messages.data, append_messages.metadata
    ) WITH ORDINALITY AS batch (id, type, data, metadata, n)
    ORDER BY batch.n;

    RETURN _version + _count;
END
$$;

-- Writes batches to many streams, each of them all or not at all, and says of each what became of it.
--
-- Item n is the stream name, expected version and size at n; its messages are the next so many of the
-- other arrays. Items of one stream are taken in their order, each on top of those before it. The
-- answer has a row for each item, in order: `last_position` where it was written; else the error
-- that append_messages has for it alone, and where that is a conflict the version found.
--
-- Categories are locked in the order of their keys, so that two of these calls do not deadlock.
CREATE FUNCTION message_store.append_items(
    stream_names text[],
    expected_versions bigint[],
    sizes integer[],
    ids uuid[],
    types text[],
    data text[],
    metadata text[]
) RETURNS TABLE (
    item integer,
    last_position bigint,
    error_state text,
    error_message text,
    error_constraint text,
    actual_version bigint
)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _items integer := cardinality(append_items.stream_names);
    _count bigint := (SELECT coalesce(sum(s), 0) FROM unnest(append_items.sizes) AS s);
    _next record;
    _stream text;
    _version bigint := -1;
    _befores bigint[] := array_fill(NULL::bigint, ARRAY[coalesce(_items, 0)]); -- the version it was written on
    _actuals bigint[] := _befores; -- the version it was refused at
    _first integer := 0;
BEGIN
    IF _items IS NULL
        OR cardinality(append_items.expected_versions) IS DISTINCT FROM _items
        OR cardinality(append_items.sizes) IS DISTINCT FROM _items
        OR 1 > ANY (append_items.sizes) IS NOT FALSE
        OR cardinality(append_items.ids) IS DISTINCT FROM _count
        OR cardinality(append_items.types) IS DISTINCT FROM _count
        OR cardinality(append_items.data) IS DISTINCT FROM _count
        OR cardinality(append_items.metadata) IS DISTINCT FROM _count
    THEN
        RAISE EXCEPTION 'stream_names, expected_versions and sizes must be arrays of one length, '
            'sizes at least 1, and ids, types, data and metadata as long as their sum'
            USING ERRCODE = 'array_subscript_error';
    END IF;

    PERFORM pg_advisory_xact_lock(category.key)
    FROM (
        SELECT DISTINCT message_store.hash_64(message_store.category(s)) AS key
        FROM unnest(append_items.stream_names) AS s
        ORDER BY key
    ) AS category;

    -- All at once, for which most calls are good. Who is refused is settled in advance.
    BEGIN
        FOR _next IN
            SELECT i.n, i.stream_name, i.expected, i.size, stream.version
            FROM unnest(
                append_items.stream_names, append_items.expected_versions, append_items.sizes
            ) WITH ORDINALITY AS i (stream_name, expected, size, n)
            LEFT JOIN LATERAL (
                SELECT m.position AS version
                FROM message_store.messages AS m
                WHERE m.stream_name = i.stream_name
                ORDER BY m.position DESC
                LIMIT 1
            ) AS stream ON true
            ORDER BY i.stream_name, i.n
        LOOP
            IF _next.stream_name IS DISTINCT FROM _stream THEN
                _stream := _next.stream_name;
                _version := coalesce(_next.version, -1);
            END IF;
            IF _next.expected <> _version THEN
                _actuals[_next.n] := _version;
            ELSE
                _befores[_next.n] := _version;
                _version := _version + _next.size;
            END IF;
        END LOOP;

        INSERT INTO message_store.messages (
            id, stream_name, position, type, data, metadata, cardinal_hash
        )
        SELECT
            batch.id,
            place.stream_name,
            place.position,
            batch.type,
            batch.data::jsonb,
            batch.metadata::jsonb,
            place.hash
        FROM (
            SELECT
                i.stream_name,
                i.before + k AS position,
                i.first + k AS n,
                message_store.hash_64(split_part(message_store.id(i.stream_name), '+', 1)) AS hash
            FROM (
                SELECT u.stream_name, u.before, u.size, sum(u.size) OVER (ORDER BY u.n) - u.size AS first
                FROM unnest(append_items.stream_names, _befores, append_items.sizes)
                    WITH ORDINALITY AS u (stream_name, before, size, n)
            ) AS i
            CROSS JOIN LATERAL generate_series(1, i.size) AS k
            WHERE i.before IS NOT NULL
        ) AS place
        JOIN unnest(
            append_items.ids, append_items.types, append_items.data, append_items.metadata
        ) WITH ORDINALITY AS batch (id, type, data, metadata, n) ON batch.n = place.n
        ORDER BY batch.n;

        RETURN QUERY
        SELECT
            i.n::integer,
            i.before + i.size,
            CASE WHEN i.before IS NULL THEN 'P0001' END,
            CASE WHEN i.before IS NULL THEN format(
                'Wrong expected version: %s (Stream: %s, Stream Version: %s)',
                i.expected, i.stream_name, i.actual
            ) END,
            NULL::text,
            i.actual
        FROM unnest(
            append_items.stream_names, append_items.expected_versions, append_items.sizes,
            _befores, _actuals
        ) WITH ORDINALITY AS i (stream_name, expected, size, before, actual, n)
        ORDER BY i.n;
        RETURN;
    EXCEPTION
        WHEN integrity_constraint_violation OR data_exception OR program_limit_exceeded THEN
            NULL; -- an item is at fault, and is found below
    END;

    FOR _i IN 1 .. _items LOOP
        item := _i;
        last_position := NULL;
        error_state := NULL;
        error_message := NULL;
        error_constraint := NULL;
        actual_version := NULL;
        BEGIN
            last_position := message_store.append_messages(
                append_items.stream_names[_i],
                append_items.ids[_first + 1 : _first + append_items.sizes[_i]],
                append_items.types[_first + 1 : _first + append_items.sizes[_i]],
                append_items.data[_first + 1 : _first + append_items.sizes[_i]],
                append_items.metadata[_first + 1 : _first + append_items.sizes[_i]],
                append_items.expected_versions[_i]
            );
        EXCEPTION
            WHEN raise_exception OR integrity_constraint_violation OR data_exception
                OR program_limit_exceeded
            THEN
                GET STACKED DIAGNOSTICS
                    error_state := RETURNED_SQLSTATE,
                    error_message := MESSAGE_TEXT,
                    error_constraint := CONSTRAINT_NAME;
                error_constraint := nullif(error_constraint, '');
                IF error_state = 'P0001' THEN
                    SELECT coalesce(max(m.position), -1) INTO actual_version
                    FROM message_store.messages AS m
                    WHERE m.stream_name = append_items.stream_names[_i];
                END IF;
        END;
        _first := _first + append_items.sizes[_i];
        RETURN NEXT;
    END LOOP;
END
$$;

DO $$
BEGIN
    IF pg_catalog.to_regrole('message_store') IS NULL THEN
        RETURN;
    END IF;
    GRANT EXECUTE ON FUNCTION
        message_store.append_messages(varchar, uuid[], text[], text[], text[], bigint),
        message_store.append_items(text[], bigint[], integer[], uuid[], text[], text[], text[])
    TO message_store;
END
$$;
