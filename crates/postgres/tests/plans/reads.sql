-- Each read touches what it should and no more, at 100,000 messages: for a frequent and a rare
-- category, with plans of PostgreSQL's choice, generic and custom; with statistics, without, and with
-- a plan that was made while the table was empty.
--
-- Not the shape of a plan is checked but its work, by the counters that the server keeps for the
-- transaction: which index was read, how many entries of it, and that the table was not walked.
-- To be run on a database with our migrations and no messages; `../plans.rs` measures at each stage.
-- `plans.checks` holds what was measured.

DROP SCHEMA IF EXISTS plans CASCADE;
CREATE SCHEMA plans;
CREATE TABLE plans.reads (
    n integer GENERATED ALWAYS AS IDENTITY,
    call text NOT NULL,
    index_name text NOT NULL, -- the one index that may be read
    most bigint NOT NULL -- entries of it, at most
);
CREATE TABLE plans.checks (
    stage text, mode text, call text, index_name text, most bigint, entries bigint, others text, good boolean
);

INSERT INTO plans.reads (call, index_name, most) VALUES
    ($c$message_store.get_category_messages('frequent', 1, 10)$c$, 'messages_category', 11),
    ($c$message_store.get_category_messages('frequent', 50000, 10)$c$, 'messages_category', 11),
    ($c$message_store.get_category_messages('frequent', 99999999, 1000)$c$, 'messages_category', 0),
    ($c$message_store.get_category_messages('frequent')$c$, 'messages_category', 1001),
    ($c$message_store.get_category_messages('middling3', 1, 1000)$c$, 'messages_category', 400),
    ($c$message_store.get_category_messages('rare')$c$, 'messages_category', 101),
    ($c$message_store.get_category_messages('rare', 1, 1)$c$, 'messages_category', 2),
    ($c$message_store.get_category_messages('rare', 50000, 10)$c$, 'messages_category', 11),
    ($c$message_store.get_category_messages('rare', 1, -1)$c$, 'messages_category', 101),
    ($c$message_store.get_category_messages('rare', 1, 1000000)$c$, 'messages_category', 101),
    ($c$message_store.get_category_messages('absent')$c$, 'messages_category', 0),
    ($c$message_store.get_category_messages('absent', 1, -1)$c$, 'messages_category', 0),
    ($c$message_store.get_category_messages('frequent', 1, 10, NULL, 1, 4)$c$, 'messages_category', 200),
    ($c$message_store.get_category_messages('frequent', 50000, 100, NULL, 3, 64)$c$, 'messages_category', 20000),
    ($c$message_store.get_category_messages('rare', 1, 10, NULL, 1, 4)$c$, 'messages_category', 101),
    ($c$message_store.get_category_messages('frequent', 1, 10, 'fundsTransfer')$c$, 'messages_category', 30),
    ($c$message_store.get_category_messages('frequent', 1, 10, 'audit')$c$, 'messages_category', 100),
    ($c$message_store.get_category_messages('frequent', 1, 1000, 'absent')$c$, 'messages_category', 0),
    ($c$message_store.get_category_messages('rare', 1, 1000, 'fundsTransfer')$c$, 'messages_category', 101),
    ($c$message_store.get_category_messages('frequent', 1, 10, 'fundsTransfer', 1, 4)$c$, 'messages_category', 400),
    ($c$message_store.get_stream_messages('frequent-long', 0, 10)$c$, 'messages_stream', 11),
    ($c$message_store.get_stream_messages('frequent-long', 2500, 100)$c$, 'messages_stream', 101),
    ($c$message_store.get_stream_messages('frequent-long', 99999999)$c$, 'messages_stream', 0),
    ($c$message_store.get_stream_messages('rare-7')$c$, 'messages_stream', 4),
    ($c$message_store.get_stream_messages('rare-7', 0, -1)$c$, 'messages_stream', 4),
    ($c$message_store.get_stream_messages('absent-1')$c$, 'messages_stream', 0),
    ($c$message_store.get_last_stream_message('frequent-long')$c$, 'messages_stream', 1),
    ($c$message_store.get_last_stream_message('frequent-long', 'Withdrawn')$c$, 'messages_stream', 10),
    ($c$message_store.get_last_stream_message('rare-7')$c$, 'messages_stream', 1),
    ($c$message_store.get_last_stream_message('rare-7', 'Absent')$c$, 'messages_stream', 4),
    ($c$message_store.stream_version('frequent-long')$c$, 'messages_stream', 1),
    ($c$message_store.stream_version('rare-7')$c$, 'messages_stream', 1),
    ($c$message_store.stream_version('absent-1')$c$, 'messages_stream', 0),
    ($c$message_store.write_message(gen_random_uuid()::varchar, 'frequent-long', 'T', '{}')$c$, 'messages_stream', 1),
    ($c$message_store.append_messages('frequent-long', ARRAY[gen_random_uuid()], '{T}', '{NULL}', '{NULL}')$c$, 'messages_stream', 1),
    ($c$message_store.append_items('{frequent-long,rare-7}', '{NULL,NULL}', '{1,1}', ARRAY[gen_random_uuid(), gen_random_uuid()], '{T,T}', '{NULL,NULL}', '{NULL,NULL}')$c$, 'messages_stream', 2);

-- What the transaction has read so far, index by index; the table itself by its name.
CREATE FUNCTION plans.work() RETURNS TABLE (relation text, entries bigint) LANGUAGE sql VOLATILE AS $$
    SELECT c.relname::text, CASE c.relkind
        WHEN 'i' THEN pg_stat_get_xact_tuples_returned(c.oid)
        ELSE pg_stat_get_xact_numscans(c.oid) * 1000000 END
    FROM pg_class AS c
    WHERE c.relnamespace = 'message_store'::regnamespace
        AND (c.relkind = 'i' OR c.relname = 'messages')
$$;

CREATE FUNCTION plans.measure(stage text, times integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _mode text;
    _read plans.reads;
    _before jsonb;
    _after jsonb;
    _entries bigint;
    _others text;
BEGIN
    FOREACH _mode IN ARRAY ARRAY['auto', 'force_generic_plan', 'force_custom_plan'] LOOP
        PERFORM set_config('plan_cache_mode', _mode, true);
        FOR _read IN SELECT * FROM plans.reads ORDER BY n LOOP
            -- Often enough that PostgreSQL, where it is free, leaves custom plans for a generic one.
            FOR i IN 1 .. times LOOP
                EXECUTE 'SELECT count(*) FROM ' || _read.call;
            END LOOP;
            SELECT jsonb_object_agg(relation, entries) INTO _before FROM plans.work();
            EXECUTE 'SELECT count(*) FROM ' || _read.call;
            SELECT jsonb_object_agg(relation, entries) INTO _after FROM plans.work();
            _entries := (_after ->> _read.index_name)::bigint - (_before ->> _read.index_name)::bigint;
            SELECT string_agg(format('%s: %s', key, value::bigint - (_before ->> key)::bigint), ', ')
            INTO _others
            FROM jsonb_each_text(_after)
            WHERE key <> _read.index_name AND value::bigint > (_before ->> key)::bigint;
            INSERT INTO plans.checks VALUES (
                measure.stage, _mode, _read.call, _read.index_name, _read.most, _entries, _others,
                _entries <= _read.most AND _others IS NULL
            );
        END LOOP;
    END LOOP;
    PERFORM set_config('plan_cache_mode', 'auto', true);
END
$$;
