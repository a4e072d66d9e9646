-- Our functions against Message DB's own: a batch does what as many calls of write_message do. To be
-- run on a database with 0002, ours or an adopted one, with a search_path in which write_message works,
-- in a transaction to be rolled back. Ends in an error that holds whatever is not as it should be, or
-- leaves the number of its checks in the setting `append.checks`.
DO $$
DECLARE
    _row record;
    _got text;
    _ids uuid[];
    _wrong text[] := '{}';
    _checks integer := 0;
    _one text;
    _many text;
    _stream text;
    _expected bigint;
    _size integer;
BEGIN
    -- The same decisions, by calls and by a batch, over random streams, versions and sizes.
    PERFORM setseed(0.42);
    FOR i IN 1 .. 300 LOOP
        _stream := (ARRAY['', 'x', 'x-1', 'y-1+2', 'größe-ß', 'z:command-1'])[1 + floor(random() * 6)];
        _expected := (ARRAY[NULL, -1, 0, 1, 2, 5])[1 + floor(random() * 6)];
        _size := 1 + floor(random() * 4);
        _ids := ARRAY(SELECT gen_random_uuid() FROM generate_series(1, _size));
        BEGIN
            FOR k IN 1 .. _size LOOP
                _one := message_store.write_message(
                    _ids[k]::varchar, 'one/' || _stream, 'T' || k, jsonb_build_object('k', k), NULL, _expected + k - 1
                );
            END LOOP;
        EXCEPTION WHEN raise_exception THEN
            _one := replace(SQLERRM, 'one/', '');
        END;
        BEGIN
            _many := message_store.append_messages(
                'many/' || _stream,
                ARRAY(SELECT gen_random_uuid() FROM generate_series(1, _size)),
                ARRAY(SELECT 'T' || k FROM generate_series(1, _size) AS k),
                ARRAY(SELECT jsonb_build_object('k', k)::text FROM generate_series(1, _size) AS k),
                array_fill(NULL::text, ARRAY[_size]),
                _expected
            );
        EXCEPTION WHEN raise_exception THEN
            _many := replace(SQLERRM, 'many/', '');
        END;
        _checks := _checks + 1;
        IF _one IS DISTINCT FROM _many THEN
            _wrong := _wrong || format('%s at %s by %s: %s and %s', _stream, _expected, _size, _one, _many);
        END IF;
    END LOOP;
    FOR _row IN
        SELECT o.n, m.n AS m FROM (
            SELECT substr(stream_name, 5) AS s, string_agg(format('%s %s %s', position, type, data), ',' ORDER BY global_position) AS n
            FROM message_store.messages WHERE stream_name LIKE 'one/%' GROUP BY 1
        ) AS o FULL JOIN (
            SELECT substr(stream_name, 6) AS s, string_agg(format('%s %s %s', position, type, data), ',' ORDER BY global_position) AS n
            FROM message_store.messages WHERE stream_name LIKE 'many/%' GROUP BY 1
        ) AS m USING (s)
    LOOP
        _checks := _checks + 1;
        IF _row.n IS DISTINCT FROM _row.m THEN
            _wrong := _wrong || format('streams differ: %s and %s', _row.n, _row.m);
        END IF;
    END LOOP;
    -- The column is what the functions say, wherever it is filled.
    SELECT count(*) INTO _size FROM message_store.messages AS m
    WHERE m.cardinal_hash IS NOT NULL AND m.cardinal_hash <> message_store.hash_64(split_part(message_store.id(m.stream_name), '+', 1))
        OR m.stream_name LIKE 'many/%' AND m.cardinal_hash IS NULL AND m.stream_name LIKE '%-%';
    IF _size > 0 THEN
        _wrong := _wrong || format('%s rows with a wrong hash', _size);
    END IF;

    -- Many streams: a stale expectation, two items of a stream, and one at fault among good ones.
    _ids := ARRAY(SELECT md5('i' || k)::uuid FROM generate_series(1, 8) AS k);
    SELECT string_agg(format('%s:%s:%s:%s', item, last_position, error_state, actual_version), ' ' ORDER BY item) INTO _got
    FROM message_store.append_items(
        '{m-1,m-2,m-1,n-1,m-1,o}', '{-1,0,1,NULL,0,NULL}', '{2,1,1,1,1,1}', _ids[1:7],
        '{A,B,C,D,E,F,G}', array_fill('{}'::text, ARRAY[7]), array_fill(NULL::text, ARRAY[7])
    );
    _checks := _checks + 1;
    IF _got IS DISTINCT FROM '1:1:: 2::P0001:-1 3:2:: 4:0:: 5::P0001:2 6:0::' THEN
        _wrong := _wrong || format('items: %s', _got);
    END IF;
    SELECT string_agg(format('%s:%s:%s:%s', item, last_position, error_state, error_constraint), ' ' ORDER BY item) INTO _got
    FROM message_store.append_items(
        '{m-1,m-2,m-1,n-1,m-1,o}', '{2,-1,3,NULL,4,NULL}', '{1,1,1,1,1,1}',
        ARRAY[gen_random_uuid(), gen_random_uuid(), _ids[1], gen_random_uuid(), gen_random_uuid(), gen_random_uuid()],
        '{A,B,C,NULL,E,F}', '{1,2,3,4,5,nonsense}', array_fill(NULL::text, ARRAY[6])
    );
    _checks := _checks + 1;
    IF _got IS DISTINCT FROM '1:3:: 2:0:: 3::23505:messages_id 4::23502: 5::P0001: 6::22P02:' THEN
        _wrong := _wrong || format('items at fault: %s', _got);
    END IF;
    IF cardinality(_wrong) > 0 THEN
        RAISE EXCEPTION E'% of % checks failed:\n%', cardinality(_wrong), _checks, array_to_string(_wrong, E'\n');
    END IF;
    PERFORM set_config('append.checks', _checks::text, true);
END
$$;
