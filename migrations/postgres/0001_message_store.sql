-- Safe while running: makes a schema that is not there yet. Locks nothing that exists; refuses where
-- Message DB is installed already, for that is to be adopted, not made anew. No extension and no
-- superuser; whoever may not create roles gets everything but the role `message_store`.
--
-- This is the interface of Message DB 1.3.0 as its users see it: the names, arguments, defaults,
-- results, errors and columns. What is ours is how it is done. Every inner name is qualified, so no
-- connection needs a search_path. To be run in one transaction.

DO $$
BEGIN
    IF pg_catalog.to_regclass('message_store.messages') IS NOT NULL THEN
        RAISE EXCEPTION 'this database has a Message DB already: message_store.messages exists'
            USING ERRCODE = 'duplicate_table',
                HINT = 'Use it as it is, or adopt it; either way its messages stay where they are.';
    END IF;
    IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'the encoding of database % is %, and messages need UTF8',
            pg_catalog.current_database(), pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported',
                HINT = 'CREATE DATABASE … ENCODING ''UTF8'' TEMPLATE template0';
    END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS message_store;

-- A role belongs to the whole cluster, so another database may have made it, even just now.
DO $$
BEGIN
    IF pg_catalog.to_regrole('message_store') IS NULL THEN
        CREATE ROLE message_store LOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
    WHEN insufficient_privilege THEN
        RAISE WARNING 'role % may not create the role message_store, so nothing is granted to it',
            current_user
            USING HINT = 'The owner of the schema can write and read all the same. For others, '
                'CREATE ROLE message_store LOGIN as an administrator, before this installation.';
END
$$;

-- The arguments and results of these are part of what is stored: the index below holds categories.
-- Each is one expression of built-in functions, which the planner puts in the place of the call.

-- What stands before the first hyphen; all of a name without one.
CREATE FUNCTION message_store.category(stream_name varchar) RETURNS varchar
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT split_part(category.stream_name, '-', 1)::varchar
$$;

-- What stands after the first hyphen, or null.
CREATE FUNCTION message_store.id(stream_name varchar) RETURNS varchar
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substr(id.stream_name, nullif(strpos(id.stream_name, '-'), 0) + 1)::varchar
$$;

-- The id up to the first plus: what the streams of one entity have in common.
CREATE FUNCTION message_store.cardinal_id(stream_name varchar) RETURNS varchar
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT split_part(message_store.id(cardinal_id.stream_name), '+', 1)::varchar
$$;

-- Whether a name has no hyphen. Null is a category by this contract.
CREATE FUNCTION message_store.is_category(stream_name varchar) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (strpos(is_category.stream_name, '-') > 0) IS NOT TRUE
$$;

-- The first eight bytes of the MD5 as a number with a sign.
CREATE FUNCTION message_store.hash_64(value varchar) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || md5(hash_64.value))::bit(64)::bigint
$$;

-- CACHE must stay 1: with more, a session keeps numbers back, and the order of a category is no
-- longer the order of its commits. The columns are Message DB's, in its order, and one of ours after
-- them: what consumer groups divide by, which is dear to compute for every row that is read. Whoever
-- inserts without our functions leaves it null, and the read computes it; a generated column would
-- cost every write a fifth, for its expression is prepared again each time.
CREATE TABLE message_store.messages (
    global_position bigserial PRIMARY KEY,
    position bigint NOT NULL,
    time timestamp without time zone NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    stream_name text NOT NULL,
    type text NOT NULL,
    data jsonb,
    metadata jsonb,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    cardinal_hash bigint
);
CREATE UNIQUE INDEX messages_id ON message_store.messages (id);
CREATE UNIQUE INDEX messages_stream ON message_store.messages (stream_name, position);
CREATE INDEX messages_category ON message_store.messages (
    message_store.category(stream_name),
    global_position,
    message_store.category(metadata ->> 'correlationStreamName')
);

-- A message as the functions return it. The documents are text: it saves the reader a conversion.
CREATE TYPE message_store.message AS (
    id varchar,
    stream_name varchar,
    type varchar,
    position bigint,
    global_position bigint,
    data varchar,
    metadata varchar,
    time timestamp without time zone
);

-- The version of the interface, which clients ask for; the version of this schema is that of its
-- migrations.
CREATE FUNCTION message_store.message_store_version() RETURNS varchar
LANGUAGE sql VOLATILE AS $$
    SELECT '1.3.0'::varchar
$$;

-- Waits until no other transaction writes to the category of the stream, and keeps others out until
-- the end of this one. It is why a reader who goes by global position misses nothing.
CREATE FUNCTION message_store.acquire_lock(stream_name varchar) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _key bigint := message_store.hash_64(message_store.category(acquire_lock.stream_name));
BEGIN
    -- An expression, which costs less than a statement.
    IF pg_advisory_xact_lock(_key) IS NOT NULL THEN END IF;
    RETURN _key;
END
$$;

-- The position of the last message, or null. By the end of the index; `max` would be planned to the
-- same, at the price of planning it.
--
-- The table is nested for the planner alone, which unfolds it. The more tables a statement names, the
-- dearer planning is taken to be, and then a plan for all streams is soon kept, rather than one made
-- on every call because the stream is a long one, for ten times what the read costs.
CREATE FUNCTION message_store.stream_version(stream_name varchar) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _version bigint;
BEGIN
    SELECT m.position INTO _version
    FROM (SELECT * FROM (SELECT * FROM message_store.messages) AS m) AS m
    WHERE m.stream_name = stream_version.stream_name
    ORDER BY m.position DESC
    LIMIT 1;
    RETURN _version;
END
$$;

-- Writes a message to the end of a stream and returns its position. An expected version of null
-- expects nothing, and -1 expects no stream.
CREATE FUNCTION message_store.write_message(
    id varchar,
    stream_name varchar,
    type varchar,
    data jsonb,
    metadata jsonb DEFAULT NULL,
    expected_version bigint DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _version bigint;
    _hash bigint;
    _id uuid;
BEGIN
    -- As in acquire_lock. The statement after it sees what was committed while we waited.
    IF pg_advisory_xact_lock(
        message_store.hash_64(message_store.category(write_message.stream_name))
    ) IS NOT NULL THEN END IF;

    -- As in stream_version. The hash of the stream is on its last message already, which costs less
    -- than to compute it.
    SELECT m.position, m.cardinal_hash INTO _version, _hash
    FROM (SELECT * FROM (SELECT * FROM message_store.messages) AS m) AS m
    WHERE m.stream_name = write_message.stream_name
    ORDER BY m.position DESC
    LIMIT 1;
    -- One test for both: no stream, or a message of another writer.
    IF _hash IS NULL THEN
        _version := coalesce(_version, -1);
        _hash := message_store.hash_64(message_store.cardinal_id(write_message.stream_name));
    END IF;
    IF write_message.expected_version <> _version THEN
        RAISE EXCEPTION 'Wrong expected version: % (Stream: %, Stream Version: %)',
            write_message.expected_version, write_message.stream_name, _version;
    END IF;

    -- Before the insert, which would burn a global position over a bad id.
    _id := write_message.id::uuid;
    INSERT INTO message_store.messages (
        id, stream_name, position, type, data, metadata, cardinal_hash
    ) VALUES (
        _id,
        write_message.stream_name,
        _version + 1,
        write_message.type,
        write_message.data,
        write_message.metadata,
        _hash
    );
    RETURN _version + 1;
END
$$;

-- Reads. Their statements stand in the function, so that they are planned once in a session and not
-- on every call. An argument as `(SELECT …)` is unknown to the planner even where it plans for one
-- call, so it makes one plan for all, soon keeps it, and cannot take a worse one for a frequent name;
-- `crates/postgres/tests/plans/reads.sql` shows that it is on the right index. Only a condition
-- is put together as text.

-- The messages of a stream, from a position on. A batch size of -1 is no limit.
CREATE FUNCTION message_store.get_stream_messages(
    stream_name varchar,
    "position" bigint DEFAULT 0,
    batch_size bigint DEFAULT 1000,
    condition varchar DEFAULT NULL
) RETURNS SETOF message_store.message
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _from bigint := coalesce(get_stream_messages."position", 0);
    _limit bigint := nullif(coalesce(get_stream_messages.batch_size, 1000), -1);
BEGIN
    IF message_store.is_category(get_stream_messages.stream_name) THEN
        RAISE EXCEPTION 'Must be a stream name: %', get_stream_messages.stream_name;
    END IF;

    IF get_stream_messages.condition IS NULL THEN
        RETURN QUERY
        SELECT
            m.id::varchar, m.stream_name::varchar, m.type::varchar, m.position, m.global_position,
            m.data::varchar, m.metadata::varchar, m.time
        FROM message_store.messages AS m
        WHERE m.stream_name = (SELECT get_stream_messages.stream_name)
            AND m.position >= (SELECT _from)
        ORDER BY m.position
        LIMIT (SELECT _limit);
        RETURN;
    END IF;

    IF coalesce(current_setting('message_store.sql_condition', true), 'off') = 'off' THEN
        RAISE EXCEPTION 'Retrieval with SQL condition is not activated';
    END IF;
    -- A condition may name `messages`, its columns, and the arguments by these numbers.
    RETURN QUERY EXECUTE format(
        'SELECT id::varchar, stream_name::varchar, type::varchar, position, global_position,
            data::varchar, metadata::varchar, time
        FROM message_store.messages
        WHERE stream_name = $1 AND position >= $2 AND
            (%s)
        ORDER BY position
        LIMIT nullif($3, -1)',
        get_stream_messages.condition
    ) USING
        get_stream_messages.stream_name,
        _from,
        coalesce(get_stream_messages.batch_size, 1000);
END
$$;

-- The last message of a stream, or the last one of a type in it. A category will do for a stream:
-- the position streams of Eventide are named so.
CREATE FUNCTION message_store.get_last_stream_message(
    stream_name varchar,
    type varchar DEFAULT NULL
) RETURNS SETOF message_store.message
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- `<> 0` is taken to let almost all rows pass. A test of the type as such is taken to let few
    -- pass, and on a table that was small when it was planned, the whole stream would be sorted.
    RETURN QUERY
    SELECT
        m.id::varchar, m.stream_name::varchar, m.type::varchar, m.position, m.global_position,
        m.data::varchar, m.metadata::varchar, m.time
    FROM message_store.messages AS m
    WHERE m.stream_name = (SELECT get_last_stream_message.stream_name)
        AND CASE WHEN m.type <> (SELECT get_last_stream_message.type) THEN 0 ELSE 1 END <> 0
    ORDER BY m.position DESC
    LIMIT 1;
END
$$;

-- The messages of a category, from a global position on: all, those whose correlation stream is of a
-- category, those that fall to a member of a consumer group, or those that meet a condition. A batch
-- size of -1 is no limit.
CREATE FUNCTION message_store.get_category_messages(
    category varchar,
    "position" bigint DEFAULT 1,
    batch_size bigint DEFAULT 1000,
    correlation varchar DEFAULT NULL,
    consumer_group_member bigint DEFAULT NULL,
    consumer_group_size bigint DEFAULT NULL,
    condition varchar DEFAULT NULL
) RETURNS SETOF message_store.message
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _category varchar := get_category_messages.category;
    _from bigint := coalesce(get_category_messages."position", 1);
    _limit bigint := nullif(coalesce(get_category_messages.batch_size, 1000), -1);
    _correlation varchar := get_category_messages.correlation;
    _member bigint := get_category_messages.consumer_group_member;
    _wide_size bigint := get_category_messages.consumer_group_size;
    _size smallint;
    _wrong text;
BEGIN
    IF NOT message_store.is_category(_category) THEN
        RAISE EXCEPTION 'Must be a category: %', _category;
    END IF;
    IF strpos(_correlation, '-') > 0 THEN
        RAISE EXCEPTION 'Correlation must be a category (Correlation: %)', _correlation;
    END IF;
    IF _member IS NOT NULL OR _wide_size IS NOT NULL THEN
        _wrong := CASE
            WHEN _member IS NULL OR _wide_size IS NULL THEN 'member and size must be specified'
            WHEN _wide_size < 1 THEN 'size must not be less than 1'
            WHEN _member < 0 THEN 'member must not be less than 0'
            WHEN _member >= _wide_size THEN 'member must be less than the group size'
        END;
        IF _wrong IS NOT NULL THEN
            RAISE EXCEPTION
                'Consumer group % (Consumer Group Member: %, Consumer Group Size: %)',
                _wrong, _member, _wide_size;
        END IF;
    END IF;
    IF get_category_messages.condition IS NOT NULL
        AND coalesce(current_setting('message_store.sql_condition', true), 'off') = 'off'
    THEN
        RAISE EXCEPTION 'Retrieval with SQL condition is not activated';
    END IF;
    _size := _wide_size;

    -- `= ANY` over one value, and the category in the order: an equation would tell the planner that
    -- the order by global position alone will do, and then it may walk the primary key through the
    -- whole table for a rare category. `coalesce` hides an equation too, which it takes for so
    -- selective (1 in 200) that it would sort the category rather than stop at the limit.
    IF get_category_messages.condition IS NOT NULL THEN
        -- A condition may name `messages`, its columns, and the arguments by these numbers. It is
        -- planned on every call, with their values, so the equations may stand here as they are.
        RETURN QUERY EXECUTE format(
            'SELECT id::varchar, stream_name::varchar, type::varchar, position, global_position,
                data::varchar, metadata::varchar, time
            FROM message_store.messages
            WHERE message_store.category(stream_name) = $1 AND global_position >= $2
                AND ($4 IS NULL
                    OR message_store.category(metadata ->> ''correlationStreamName'') = $4)
                AND ($6 IS NULL
                    OR mod(@ coalesce(
                        cardinal_hash, message_store.hash_64(message_store.cardinal_id(stream_name))
                    ), $6) = $5)
                AND
                (%s)
            ORDER BY global_position
            LIMIT nullif($3, -1)',
            get_category_messages.condition
        ) USING
            _category,
            _from,
            coalesce(get_category_messages.batch_size, 1000),
            _correlation,
            _member,
            _size;
    ELSIF _correlation IS NULL THEN
        RETURN QUERY
        SELECT
            m.id::varchar, m.stream_name::varchar, m.type::varchar, m.position, m.global_position,
            m.data::varchar, m.metadata::varchar, m.time
        FROM message_store.messages AS m
        WHERE message_store.category(m.stream_name) = ANY (ARRAY[(SELECT _category)])
            AND m.global_position >= (SELECT _from)
            AND (_size IS NULL OR coalesce(mod(@ coalesce(
                m.cardinal_hash, message_store.hash_64(message_store.cardinal_id(m.stream_name))
            ), _size) = _member, false))
        ORDER BY message_store.category(m.stream_name), m.global_position
        LIMIT (SELECT _limit);
    ELSE
        RETURN QUERY
        SELECT
            m.id::varchar, m.stream_name::varchar, m.type::varchar, m.position, m.global_position,
            m.data::varchar, m.metadata::varchar, m.time
        FROM message_store.messages AS m
        WHERE message_store.category(m.stream_name) = ANY (ARRAY[(SELECT _category)])
            AND m.global_position >= (SELECT _from)
            AND message_store.category(m.metadata ->> 'correlationStreamName') = (SELECT _correlation)
            AND (_size IS NULL OR coalesce(mod(@ coalesce(
                m.cardinal_hash, message_store.hash_64(message_store.cardinal_id(m.stream_name))
            ), _size) = _member, false))
        ORDER BY message_store.category(m.stream_name), m.global_position
        LIMIT (SELECT _limit);
    END IF;
END
$$;

-- Reports. Each is one pass over the table.

CREATE VIEW message_store.stream_summary AS
SELECT
    m.stream_name,
    count(*) AS message_count,
    round(count(*) / sum(count(*)) OVER () * 100, 2) AS percent
FROM message_store.messages AS m
GROUP BY m.stream_name
ORDER BY m.stream_name;

CREATE VIEW message_store.type_summary AS
SELECT
    m.type,
    count(*) AS message_count,
    round(count(*) / sum(count(*)) OVER () * 100, 2) AS percent
FROM message_store.messages AS m
GROUP BY m.type
ORDER BY m.type;

CREATE VIEW message_store.stream_type_summary AS
SELECT
    m.stream_name,
    m.type,
    count(*) AS message_count,
    round(count(*) / sum(count(*)) OVER () * 100, 2) AS percent
FROM message_store.messages AS m
GROUP BY m.stream_name, m.type
ORDER BY m.stream_name, m.type;

CREATE VIEW message_store.type_stream_summary AS
SELECT
    m.type,
    m.stream_name,
    count(*) AS message_count,
    round(count(*) / sum(count(*)) OVER () * 100, 2) AS percent
FROM message_store.messages AS m
GROUP BY m.type, m.stream_name
ORDER BY m.type, m.stream_name;

CREATE VIEW message_store.category_type_summary AS
SELECT
    message_store.category(m.stream_name) AS category,
    m.type,
    count(*) AS message_count,
    round(count(*) / sum(count(*)) OVER () * 100, 2) AS percent
FROM message_store.messages AS m
GROUP BY message_store.category(m.stream_name), m.type
ORDER BY message_store.category(m.stream_name), m.type;

CREATE VIEW message_store.type_category_summary AS
SELECT
    m.type,
    message_store.category(m.stream_name) AS category,
    count(*) AS message_count,
    round(count(*) / sum(count(*)) OVER () * 100, 2) AS percent
FROM message_store.messages AS m
GROUP BY m.type, message_store.category(m.stream_name)
ORDER BY m.type, message_store.category(m.stream_name);

-- Who may do what: the role writes and reads, and never changes or deletes.
DO $$
BEGIN
    IF pg_catalog.to_regrole('message_store') IS NULL THEN
        RETURN;
    END IF;
    GRANT USAGE ON SCHEMA message_store TO message_store;
    GRANT SELECT, INSERT ON message_store.messages TO message_store;
    GRANT USAGE, SELECT ON SEQUENCE message_store.messages_global_position_seq TO message_store;
    GRANT EXECUTE ON FUNCTION
        message_store.acquire_lock(varchar),
        message_store.cardinal_id(varchar),
        message_store.category(varchar),
        message_store.get_category_messages(
            varchar, bigint, bigint, varchar, bigint, bigint, varchar
        ),
        message_store.get_last_stream_message(varchar, varchar),
        message_store.get_stream_messages(varchar, bigint, bigint, varchar),
        message_store.hash_64(varchar),
        message_store.id(varchar),
        message_store.is_category(varchar),
        message_store.message_store_version(),
        message_store.stream_version(varchar),
        message_store.write_message(varchar, varchar, varchar, jsonb, jsonb, bigint)
    TO message_store;
    GRANT SELECT ON
        message_store.category_type_summary,
        message_store.stream_summary,
        message_store.stream_type_summary,
        message_store.type_category_summary,
        message_store.type_stream_summary,
        message_store.type_summary
    TO message_store;
    -- The driver's own, and not there where this file is run by hand.
    IF pg_catalog.to_regclass('message_store._evenfold_migrations') IS NOT NULL THEN
        GRANT SELECT ON message_store._evenfold_migrations TO message_store;
    END IF;
END
$$;
