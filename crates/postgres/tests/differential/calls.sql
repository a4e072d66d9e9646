-- The table of calls. A name is a sentence's beginning; order matters, for reads see what was written
-- above them. Everything is written with the schema before it, so that ours can run without any
-- search_path. `n` is fixed by the order here, so both databases have the same.

CREATE FUNCTION pg_temp.message(seed text) RETURNS text LANGUAGE sql AS $$
    SELECT md5(seed)::uuid::text
$$;

CREATE TEMPORARY TABLE names (name text);
INSERT INTO names VALUES
    (NULL), (''), ('-'), ('--'), ('---'), ('+'), (':'), (' '), ('a'), ('a-'), ('-x'), ('-x-y'), ('--x'),
    ('account'), ('account-123'), ('account-123-456'), ('account-123+456'), ('account-123+456+789'),
    ('account-+'), ('account-+1'), ('account-1+'), ('account-1++2'), ('account+x'), ('account+x-1+2'),
    ('account:command'), ('account:command-123'), ('account:command+position'),
    ('account:command+position-some+id'), ('a:b+c-1+2-3'), ('someStream'), ('1'), ('2'), ('3'), ('123'),
    ('account-a11e9022-e741-4450-bf9c-c4cc5ddb6ea3'), ('a11e9022-e741-4450-bf9c-c4cc5ddb6ea3'),
    ('Account-123'), ('ACCOUNT'), ('größe-straße+ß'), ('帳戶-一+二'), ('счёт-1'), ('حساب-١'), ('🙂-🙃+🙂'),
    (E'e\u0301-e\u0301'), (E'\u00e9-1'), (E'zero\u200bwidth-1'), ('a–b—c'), (E'tab\tnew\nline-\t\n'),
    ('quote''s-"x"'), ('back\slash-\'), ('%s-%d%%'), ('$1-$2'), ('a b-c d'), ('null-NULL'),
    (repeat('x', 10000)), (repeat('x', 5000) || '-' || repeat('y', 5000)), (repeat('🙂', 1000) || '-1+2');

-- The functions of one name, over all names.
INSERT INTO differential.calls (name, call)
SELECT f || ' of a name', format('SELECT message_store.%s(%L::varchar) AS r', f, name)
FROM names, unnest(ARRAY['category', 'id', 'cardinal_id', 'is_category', 'hash_64', 'acquire_lock']) AS f;
INSERT INTO differential.calls (name, call)
SELECT 'a name by unknown and text', format(
    'SELECT message_store.category(%L), message_store.id(%1$L), message_store.cardinal_id(%1$L::text),
        message_store.is_category(%1$L::text), message_store.hash_64(%1$L::text), message_store.stream_version(%1$L::text)',
    name
) FROM names WHERE length(name) < 100;
INSERT INTO differential.calls (name, call) VALUES
    ('named argument', $c$SELECT message_store.category(stream_name => 'a-1'), message_store.id(stream_name => 'a-1'), message_store.cardinal_id(stream_name => 'a-1+2'), message_store.is_category(stream_name => 'a'), message_store.hash_64(value => 'a'), message_store.acquire_lock(stream_name => 'a-1'), message_store.stream_version(stream_name => 'a-1')$c$),
    ('types of results', $c$SELECT pg_typeof(message_store.category('a'))::text AS a, pg_typeof(message_store.id('a'))::text AS b, pg_typeof(message_store.cardinal_id('a'))::text AS c, pg_typeof(message_store.is_category('a'))::text AS d, pg_typeof(message_store.hash_64('a'))::text AS e, pg_typeof(message_store.acquire_lock('a'))::text AS f, pg_typeof(message_store.stream_version('a'))::text AS g, pg_typeof(message_store.message_store_version())::text AS h$c$),
    ('version', $c$SELECT message_store.message_store_version()$c$),
    ('version with an argument', $c$SELECT message_store.message_store_version('x')$c$),
    ('category without an argument', $c$SELECT message_store.category()$c$),
    ('category of a number', $c$SELECT message_store.category(1)$c$),
    ('hash by the wrong name', $c$SELECT message_store.hash_64(stream_name => 'a')$c$),
    ('function in from', $c$SELECT * FROM message_store.category('a-1')$c$),
    ('over rows', $c$SELECT n, message_store.hash_64(message_store.cardinal_id('a-' || n || '+x')) FROM generate_series(1, 200) AS n$c$),
    ('in a where', $c$SELECT n FROM generate_series(1, 200) AS n WHERE mod(@message_store.hash_64(message_store.cardinal_id('a-' || n)), 7) = 3$c$),
    ('version of no stream', $c$SELECT message_store.stream_version('account-123')$c$),
    ('locks held by now', $c$SELECT classid, objid, objsubid, mode, granted FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() ORDER BY classid::bigint, objid::bigint$c$);

-- Writing.
INSERT INTO differential.calls (name, call, on_purpose)
SELECT 'write to a name', format(
    'SELECT message_store.write_message(%L, %L, ''Created'', ''{"n":1}'')',
    pg_temp.message('w' || coalesce(name, 'null')), name
), CASE WHEN name IS NULL THEN 'the detail shows the failing row, which has one column more' END
FROM names;
INSERT INTO differential.calls (name, call)
SELECT 'write with expected version ' || coalesce(v, 'null'), format(
    'SELECT message_store.write_message(%L, %L, ''Expected'', ''{}'', NULL, %s)',
    pg_temp.message('e' || s || coalesce(v, 'null')), s, coalesce(v, 'NULL')
) FROM unnest(ARRAY['expected-1', 'expected-2', 'account-123', 'missing-1', 'expected', 'größe-straße+ß']) AS s,
    unnest(ARRAY['-1', '0', '1', NULL, '-1', '-2', '2', '3', '99', '-9223372036854775808', '9223372036854775807']) AS v;
INSERT INTO differential.calls (name, call, on_purpose)
SELECT 'write of null ' || c[1], format('SELECT message_store.write_message(%s)', c[2]),
    CASE WHEN c[3] = '1' THEN 'the detail shows the failing row, which has one column more' END
FROM (VALUES
    (ARRAY['id', $c$NULL, 'nulls-1', 'T', '{}'$c$, '1']),
    (ARRAY['stream', $c$'00000000-0000-0000-0000-000000000001', NULL, 'T', '{}'$c$, '1']),
    (ARRAY['type', $c$'00000000-0000-0000-0000-000000000001', 'nulls-1', NULL, '{}'$c$, '1']),
    (ARRAY['data', $c$'00000000-0000-0000-0000-000000000002', 'nulls-1', 'T', NULL$c$, '0']),
    (ARRAY['data and metadata', $c$'00000000-0000-0000-0000-000000000003', 'nulls-1', 'T', NULL, NULL$c$, '0']),
    (ARRAY['everything', $c$NULL, NULL, NULL, NULL, NULL, NULL$c$, '1']),
    (ARRAY['stream at a wrong version', $c$'00000000-0000-0000-0000-000000000001', NULL, 'T', '{}', NULL, 5$c$, '0']),
    (ARRAY['id at a wrong version', $c$NULL, 'nulls-1', 'T', '{}', NULL, 50$c$, '0'])
) AS v (c);
INSERT INTO differential.calls (name, call) VALUES
    ('write by name', $c$SELECT message_store.write_message(id => '00000000-0000-0000-0000-0000000000a1', stream_name => 'named-1', type => 'T', data => '{"a":1}')$c$),
    ('write by name, all', $c$SELECT message_store.write_message(expected_version => 0, metadata => '{"m":1}', data => '{"a":1}', type => 'T', stream_name => 'named-1', id => '00000000-0000-0000-0000-0000000000a2')$c$),
    ('write, mixed', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a3', 'named-1', 'T', '{}', expected_version => 1)$c$),
    ('write by name without data', $c$SELECT message_store.write_message(id => '00000000-0000-0000-0000-0000000000a4', stream_name => 'named-1', type => 'T')$c$),
    ('write, types as clients send them', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a5'::varchar, 'named-1'::varchar, 'T'::varchar, '{}'::jsonb, '{}'::jsonb, 2::bigint)$c$),
    ('write, types as text and integer', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a6'::text, 'named-1'::text, 'T'::text, '{}'::jsonb, NULL::jsonb, 3::integer)$c$),
    ('write with a uuid', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a7'::uuid, 'named-1', 'T', '{}')$c$),
    ('write with json', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a7', 'named-1', 'T', '{}'::json)$c$),
    ('write with text data', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a7', 'named-1', 'T', '{}'::text)$c$),
    ('write in from', $c$SELECT * FROM message_store.write_message('00000000-0000-0000-0000-0000000000a8', 'named-1', 'T', '{}')$c$),
    ('write upper-case id', $c$SELECT message_store.write_message('ABCDEFAB-0000-0000-0000-0000000000A9', 'named-1', 'T', '{}')$c$),
    ('write id without hyphens', $c$SELECT message_store.write_message('abcdefab0000000000000000000000aa', 'named-1', 'T', '{}')$c$),
    ('write id in braces', $c$SELECT message_store.write_message('{abcdefab-0000-0000-0000-0000000000ab}', 'named-1', 'T', '{}')$c$),
    ('write bad id', $c$SELECT message_store.write_message('not-a-uuid', 'named-1', 'T', '{}')$c$),
    ('write empty id', $c$SELECT message_store.write_message('', 'named-1', 'T', '{}')$c$),
    ('write bad id at a wrong version', $c$SELECT message_store.write_message('not-a-uuid', 'named-1', 'T', '{}', NULL, 77)$c$),
    ('write bad data', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000ac', 'named-1', 'T', '{')$c$),
    ('write data with a null character', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000ac', 'named-1', 'T', '{"a":"\u0000"}')$c$),
    ('write duplicate id, same stream', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a1', 'named-1', 'T', '{}')$c$),
    ('write duplicate id, other stream', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a1', 'named-2', 'T', '{}')$c$),
    ('write duplicate id at a wrong version', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000a1', 'named-1', 'T', '{}', NULL, 0)$c$),
    ('a refused version burns nothing', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000ad', 'named-1', 'T', '{}', NULL, 0)$c$),
    ('sequence after errors', $c$SELECT last_value, is_called FROM message_store.messages_global_position_seq$c$),
    ('write empty type', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000af', 'named-1', '', '{}')$c$),
    ('write several in one statement', $c$SELECT message_store.write_message(md5('several' || n)::uuid::varchar, 'several-1', 'T', '{}', NULL, n - 1) FROM generate_series(0, 9) AS n$c$),
    ('write several in one statement, refused', $c$SELECT message_store.write_message(md5('refused' || n)::uuid::varchar, 'several-1', 'T', '{}', NULL, 9 + n / 2) FROM generate_series(0, 9) AS n$c$),
    ('the refused left nothing', $c$SELECT message_store.stream_version('several-1')$c$),
    ('write and read in one statement', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000b0', 'several-1', 'Seen', '{}') AS w, (SELECT position FROM message_store.get_last_stream_message('several-1')) AS l, message_store.stream_version('several-1') AS v$c$),
    ('writing by hand', $c$INSERT INTO message_store.messages (stream_name, position, type) VALUES ('hand-1', 0, 'T')$c$),
    ('writing by hand gives an id', $c$UPDATE message_store.messages SET id = '00000000-0000-0000-0000-0000000000b5' WHERE stream_name = 'hand-1'$c$),
    ('write on top of a hand', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000b1', 'hand-1', 'T', '{}', NULL, 0)$c$),
    ('writing by hand to a taken position', $c$INSERT INTO message_store.messages (id, stream_name, position, type) VALUES ('00000000-0000-0000-0000-0000000000b2', 'hand-1', 1, 'T')$c$),
    ('writing by hand over a gap', $c$INSERT INTO message_store.messages (id, stream_name, position, type) VALUES ('00000000-0000-0000-0000-0000000000b3', 'hand-1', 10, 'T')$c$),
    ('write after a gap', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000b4', 'hand-1', 'T', '{}', NULL, 10)$c$);
INSERT INTO differential.calls (name, call, on_purpose) VALUES
    ('write to an incompressible long name', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000ae', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) AS n) || '-1', 'T', '{}')$c$, 'the detail says where on the page the row was, and rows are wider'),
    ('write to an incompressible long category', $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000ae', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 100) AS n), 'T', '{}')$c$, 'the detail says where on the page the row was, and rows are wider');
INSERT INTO differential.calls (name, call)
SELECT 'write data of a form', format(
    'SELECT message_store.write_message(%L, ''forms-1'', ''Form'', %L, %2$L)', pg_temp.message('form' || d), d
) FROM unnest(ARRAY[
    '{}', '[]', 'null', 'true', '1', '1.10', '1e400', '-0', '0.0', '12345678901234567890123', '"text"', '""',
    '{"b":1,"a":2}', '{"a":1,"a":2}', '{"a":{"b":[1,{"c":null}]}}', '{"ü":"ß 🙂"}', '{"a":"\u00fc\n\t\"\\/"}',
    '  {  "a"  :  1  }  ', '{"correlationStreamName":"origin-1"}', '{"correlationStreamName":"origin"}',
    '{"correlationStreamName":null}', '{"correlationStreamName":1}', '{"correlationStreamName":""}',
    '{"correlationStreamName":"-x"}', '{"correlationStreamName":{"a":1}}'
]) AS d;

-- What the reads below read: five streams of a category, messages with correlations, compound ids.
INSERT INTO differential.calls (name, call)
SELECT 'something to read', format(
    'SELECT message_store.write_message(%L, %L, %L, %L, %L)', pg_temp.message('read' || n),
    CASE WHEN n % 7 = 0 THEN 'reading' WHEN n % 11 = 0 THEN 'reading:command-1' ELSE 'reading-' || n % 5 || CASE WHEN n % 3 = 0 THEN '+part' ELSE '' END END,
    'Type' || n % 4, format('{"n":%s}', n),
    CASE n % 5 WHEN 0 THEN '{"correlationStreamName":"origin-1"}' WHEN 1 THEN '{"correlationStreamName":"origin"}'
        WHEN 2 THEN '{"correlationStreamName":"other-2+3"}' WHEN 3 THEN NULL ELSE '{}' END
) FROM generate_series(1, 60) AS n;

-- Reading.
INSERT INTO differential.calls (name, call)
SELECT r[1] || ' of a name', format(r[2], name)
FROM names, (VALUES
    (ARRAY['stream messages', 'SELECT * FROM message_store.get_stream_messages(%L)']),
    (ARRAY['category messages', 'SELECT * FROM message_store.get_category_messages(%L)']),
    (ARRAY['last message', 'SELECT * FROM message_store.get_last_stream_message(%L)']),
    (ARRAY['last message of a type', 'SELECT * FROM message_store.get_last_stream_message(%L, ''Created'')']),
    (ARRAY['stream version', 'SELECT message_store.stream_version(%L)'])
) AS v (r);
INSERT INTO differential.calls (name, call)
SELECT 'stream page', format('SELECT * FROM message_store.get_stream_messages(%L, %s, %s)', s, p, b)
FROM unnest(ARRAY['reading-1', 'reading-3+part', 'hand-1', 'no-1', 'reading']) AS s,
    unnest(ARRAY['NULL', '0', '3', '-5', '9223372036854775807']) AS p,
    unnest(ARRAY['NULL', '-1', '0', '1', '2', '1000', '-2', '9223372036854775807', '-9223372036854775808']) AS b;
INSERT INTO differential.calls (name, call)
SELECT 'category page', format('SELECT * FROM message_store.get_category_messages(%L, %s, %s)', s, p, b)
FROM unnest(ARRAY['reading', 'reading:command', 'hand', 'no', 'reading-1', '']) AS s,
    unnest(ARRAY['NULL', '0', '1', '200', '-5', '9223372036854775807']) AS p,
    unnest(ARRAY['NULL', '-1', '0', '1', '3', '-2', '9223372036854775807']) AS b;
INSERT INTO differential.calls (name, call)
SELECT 'category with correlation and group', format(
    'SELECT * FROM message_store.get_category_messages(%L, correlation => %L, consumer_group_member => %s, consumer_group_size => %s)',
    s, c, g[1], g[2]
) FROM unnest(ARRAY['reading', 'forms', 'a']) AS s,
    unnest(ARRAY[NULL, 'origin', 'other', 'none', '', 'origin-1', '-']) AS c,
    (VALUES
        (ARRAY['NULL', 'NULL']), (ARRAY['0', '1']), (ARRAY['0', '2']), (ARRAY['1', '2']), (ARRAY['2', '3']), (ARRAY['5', '7']),
        (ARRAY['NULL', '2']), (ARRAY['1', 'NULL']), (ARRAY['0', '0']), (ARRAY['0', '-1']), (ARRAY['-1', '2']),
        (ARRAY['2', '2']), (ARRAY['3', '2']), (ARRAY['0', '32767']), (ARRAY['32766', '32767']), (ARRAY['0', '32768']),
        (ARRAY['32767', '32768']), (ARRAY['-1', '-1']), (ARRAY['NULL', '0']), (ARRAY['-1', 'NULL']),
        (ARRAY['9223372036854775806', '9223372036854775807'])
    ) AS v (g);
INSERT INTO differential.calls (name, call) VALUES
    ('all members', $c$SELECT m, r.* FROM generate_series(0, 3) AS m, message_store.get_category_messages('reading', 1, 1000, NULL, m, 4) AS r$c$),
    ('several faults: the first is told', $c$SELECT * FROM message_store.get_category_messages('reading-1', 1, -2, 'x-1', -1, NULL, 'x')$c$),
    ('several faults without the first', $c$SELECT * FROM message_store.get_category_messages('reading', 1, -2, 'x-1', -1, NULL, 'x')$c$),
    ('several faults without the second', $c$SELECT * FROM message_store.get_category_messages('reading', 1, -2, 'x', -1, NULL, 'x')$c$),
    ('several faults without the third', $c$SELECT * FROM message_store.get_category_messages('reading', 1, -2, 'x', 1, 99999, 'x')$c$),
    ('size before limit', $c$SELECT * FROM message_store.get_category_messages('reading', 1, -2, 'x', 1, 99999)$c$),
    ('condition off, of a category', $c$SELECT * FROM message_store.get_stream_messages('reading', 0, -2, 'true')$c$),
    ('reads by name', $c$SELECT * FROM message_store.get_stream_messages(batch_size => 2, stream_name => 'reading-1', position => 1)$c$),
    ('reads by name, category', $c$SELECT * FROM message_store.get_category_messages(category => 'reading', batch_size => 2, position => 1, correlation => 'origin', consumer_group_member => 0, consumer_group_size => 2)$c$),
    ('last by name', $c$SELECT * FROM message_store.get_last_stream_message(type => 'Type1', stream_name => 'reading-1')$c$),
    ('last by null type', $c$SELECT * FROM message_store.get_last_stream_message('reading-1', NULL)$c$),
    ('last by empty type', $c$SELECT * FROM message_store.get_last_stream_message('reading-1', '')$c$),
    ('last by an unknown type', $c$SELECT * FROM message_store.get_last_stream_message('reading-1', 'No')$c$),
    ('last of a category name', $c$SELECT * FROM message_store.get_last_stream_message('reading')$c$),
    ('read in the select list', $c$SELECT (message_store.get_stream_messages('reading-1', 0, 3)).*$c$),
    ('read of some columns', $c$SELECT position, type FROM message_store.get_category_messages('reading') WHERE type = 'Type1' ORDER BY global_position DESC LIMIT 3$c$),
    ('reads in a join', $c$SELECT a.global_position, b.position FROM message_store.get_category_messages('reading') a JOIN message_store.get_stream_messages('reading-1') b ON b.id = a.id$c$),
    ('types of columns', $c$SELECT pg_typeof(id)::text AS a, pg_typeof(stream_name)::text AS b, pg_typeof(type)::text AS c, pg_typeof(position)::text AS d, pg_typeof(global_position)::text AS e, pg_typeof(data)::text AS f, pg_typeof(metadata)::text AS g, pg_typeof(time)::text AS h FROM message_store.get_stream_messages('reading-1', 0, 1)$c$),
    ('the old name of the last message', $c$SELECT * FROM message_store.get_last_message('reading-1')$c$),
    ('condition while never set', $c$SELECT * FROM message_store.get_stream_messages('reading-1', condition => 'true')$c$),
    ('condition while never set, category', $c$SELECT * FROM message_store.get_category_messages('reading', condition => 'true')$c$);
INSERT INTO differential.calls (name, call)
SELECT x.name || ' with the setting ' || g, x.call
FROM unnest(ARRAY['off', 'on', '', 'OFF', 'true']) WITH ORDINALITY AS s (g, gn),
    LATERAL (
        SELECT 0 AS o, 'setting' AS name, format('SELECT set_config(''message_store.sql_condition'', %L, true)', g) AS call
        UNION ALL
        SELECT cn, 'condition', format(t, c)
        FROM unnest(ARRAY[
            'true', 'false', '', 'NULL', 'messages.type = ''Type1''', 'type = ''Type1''', 'position > 2', 'global_position % 2 = 0',
            'data->>''n'' = ''16''', 'messages.data->>''n'' LIKE ''1%''', '(metadata->>''correlationStreamName'') IS NOT NULL',
            'message_store.category(stream_name) = ''reading''', 'message_store.messages.type = ''Type1''',
            'false) OR (type = ''Type2''', 'nonsense', 'type = ', '1', 'true -- comment', 'stream_name = $1', 'position >= $2', '$3 = 1000',
            '$9 = 1', 'pg_typeof($3)::text = ''bigint''', 'type LIKE ''%%s%1$s''', 'exists (SELECT 1 FROM message_store.messages m WHERE m.id = messages.id)',
            'id = ''00000000-0000-0000-0000-0000000000a1''', 'time <= now()', 'time IS NULL'
        ]) WITH ORDINALITY AS q (c, cn),
        unnest(ARRAY[
            'SELECT * FROM message_store.get_stream_messages(''reading-1'', 0, 1000, %L)',
            'SELECT * FROM message_store.get_category_messages(''reading'', condition => %L)',
            'SELECT * FROM message_store.get_category_messages(''reading'', 3, 5, ''origin'', 0, 2, %L)',
            'SELECT * FROM message_store.get_stream_messages(''reading-1'', NULL, -1, %L)'
        ]) AS t
        WHERE g IN ('on', 'off') AND (g = 'on' OR cn <= 4) OR cn <= 2
    ) AS x
ORDER BY gn, x.o;
INSERT INTO differential.calls (name, call) VALUES
    ('condition with more arguments', $c$SELECT * FROM message_store.get_category_messages('reading', 3, 5, 'origin', 0, 2, '$4 = ''origin'' AND $5 = 0 AND pg_typeof($6)::text = ''smallint''')$c$),
    ('condition with a negative batch', $c$SELECT * FROM message_store.get_category_messages('reading', 1, -2, condition => 'true')$c$),
    ('condition without limit', $c$SELECT * FROM message_store.get_category_messages('reading', 1, -1, condition => 'type = ''Type3''')$c$),
    ('condition of a large group', $c$SELECT * FROM message_store.get_category_messages('reading', 1, 1000, NULL, 5, 40000, 'true')$c$);

-- Reports.
INSERT INTO differential.calls (name, call)
SELECT 'report', 'SELECT * FROM message_store.' || v
FROM unnest(ARRAY['stream_summary', 'type_summary', 'stream_type_summary', 'type_stream_summary', 'category_type_summary', 'type_category_summary']) AS v;

-- The shape of things. Without a search_path, so that names are printed whole.
INSERT INTO differential.calls (name, call, on_purpose) VALUES
    ('columns of table and views', $c$SELECT table_name, ordinal_position, column_name, column_default, is_nullable, data_type, udt_name, character_maximum_length, numeric_precision, datetime_precision FROM information_schema.columns WHERE table_schema = 'message_store' AND column_name <> 'cardinal_hash' ORDER BY table_name, ordinal_position$c$, NULL),
    ('number of columns', $c$SELECT count(*) FROM information_schema.columns WHERE table_schema = 'message_store' AND table_name = 'messages'$c$, 'one column of ours, after those of Message DB'),
    ('relations', $c$SELECT relname, relkind, relpersistence FROM pg_catalog.pg_class WHERE relnamespace = 'message_store'::regnamespace ORDER BY relname COLLATE "C"$c$, NULL),
    ('indexes', $c$SELECT indexname, indexdef FROM pg_catalog.pg_indexes WHERE schemaname = 'message_store' ORDER BY indexname COLLATE "C"$c$, NULL),
    ('constraints', $c$SELECT conname, contype, condeferrable, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint WHERE connamespace = 'message_store'::regnamespace AND contype <> 'n' ORDER BY conname COLLATE "C"$c$, NULL),
    ('sequence', $c$SELECT sequencename, data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size FROM pg_catalog.pg_sequences WHERE schemaname = 'message_store'$c$, NULL),
    ('the type message', $c$SELECT attnum, attname, pg_catalog.format_type(atttypid, atttypmod) AS type FROM pg_catalog.pg_attribute WHERE attrelid = 'message_store.message'::regclass ORDER BY attnum$c$, NULL),
    ('signatures', $c$SELECT proname, pg_catalog.pg_get_function_arguments(oid) AS arguments, pg_catalog.pg_get_function_result(oid) AS result, provolatile, proisstrict, proretset, prosecdef, prokind, proleakproof, proconfig FROM pg_catalog.pg_proc WHERE pronamespace = 'message_store'::regnamespace AND proname NOT IN ('append_messages', 'append_items') ORDER BY proname COLLATE "C"$c$, NULL),
    ('number of functions', $c$SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 'message_store'::regnamespace$c$, 'two functions of ours'),
    ('parallel safety', $c$SELECT proname, proparallel FROM pg_catalog.pg_proc WHERE pronamespace = 'message_store'::regnamespace AND proname NOT IN ('append_messages', 'append_items') ORDER BY proname COLLATE "C"$c$, 'functions of names are declared safe for parallel plans'),
    ('grants on relations', $c$SELECT relname, a.grantee::regrole::text, a.privilege_type, a.is_grantable FROM pg_catalog.pg_class, LATERAL pg_catalog.aclexplode(relacl) AS a WHERE relnamespace = 'message_store'::regnamespace ORDER BY relname COLLATE "C", 2, 3$c$, NULL),
    ('grants on functions', $c$SELECT proname, a.grantee::regrole::text, a.privilege_type, a.is_grantable FROM pg_catalog.pg_proc, LATERAL pg_catalog.aclexplode(proacl) AS a WHERE pronamespace = 'message_store'::regnamespace AND proname NOT IN ('append_messages', 'append_items') ORDER BY proname COLLATE "C", 2, 3$c$, NULL),
    ('grants on the schema', $c$SELECT a.grantee::regrole::text, a.privilege_type FROM pg_catalog.pg_namespace, LATERAL pg_catalog.aclexplode(nspacl) AS a WHERE nspname = 'message_store' ORDER BY 1, 2$c$, NULL),
    ('the role', $c$SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = 'message_store'$c$, NULL),
    ('random ids', $c$SELECT has_function_privilege('message_store', 'pg_catalog.gen_random_uuid()', 'execute')$c$, NULL);
UPDATE differential.calls SET search_path = 'pg_catalog' WHERE call ~ 'pg_catalog|information_schema';

-- As the role, which may write and read and no more.
INSERT INTO differential.calls (name, call, as_role)
SELECT 'as the role', c, 'message_store' FROM unnest(ARRAY[
    $c$SELECT current_user$c$,
    $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000c1', 'role-1', 'T', '{}', '{"correlationStreamName":"origin-1"}', -1)$c$,
    $c$SELECT message_store.write_message('00000000-0000-0000-0000-0000000000c2', 'role-1', 'T', '{}', NULL, -1)$c$,
    $c$SELECT * FROM message_store.get_stream_messages('role-1')$c$,
    $c$SELECT * FROM message_store.get_stream_messages('role-1', condition => 'true')$c$,
    $c$SELECT * FROM message_store.get_category_messages('role', 1, 10, 'origin', 0, 1)$c$,
    $c$SELECT * FROM message_store.get_last_stream_message('role-1')$c$,
    $c$SELECT message_store.stream_version('role-1'), message_store.category('a-1'), message_store.id('a-1'), message_store.cardinal_id('a-1'), message_store.is_category('a'), message_store.hash_64('a'), message_store.acquire_lock('a'), message_store.message_store_version()$c$,
    $c$SELECT * FROM message_store.stream_summary WHERE stream_name = 'role-1'$c$,
    $c$SELECT * FROM message_store.type_summary$c$,
    $c$SELECT * FROM message_store.stream_type_summary WHERE stream_name = 'role-1'$c$,
    $c$SELECT * FROM message_store.type_stream_summary WHERE stream_name = 'role-1'$c$,
    $c$SELECT * FROM message_store.category_type_summary WHERE category = 'role'$c$,
    $c$SELECT * FROM message_store.type_category_summary WHERE category = 'role'$c$,
    $c$SELECT count(*) FROM message_store.messages$c$,
    $c$INSERT INTO message_store.messages (id, stream_name, position, type) VALUES ('00000000-0000-0000-0000-0000000000c3', 'role-1', 1, 'T')$c$,
    $c$UPDATE message_store.messages SET type = 'X'$c$,
    $c$DELETE FROM message_store.messages$c$,
    $c$TRUNCATE message_store.messages$c$,
    $c$SELECT last_value FROM message_store.messages_global_position_seq$c$,
    $c$SELECT nextval('message_store.messages_global_position_seq') > 0 AS r$c$,
    $c$SELECT setval('message_store.messages_global_position_seq', 1)$c$,
    $c$CREATE TABLE message_store.x ()$c$,
    $c$ALTER TABLE message_store.messages ADD COLUMN x int$c$,
    $c$DROP TABLE message_store.messages$c$,
    $c$CREATE OR REPLACE FUNCTION message_store.message_store_version() RETURNS varchar LANGUAGE sql AS 'SELECT ''x''::varchar'$c$
]) AS c;
INSERT INTO differential.calls (name, call) VALUES
    ('everything that is there', $c$SELECT id, stream_name, type, position, global_position, data, metadata FROM message_store.messages ORDER BY global_position$c$),
    ('locks held in the end', $c$SELECT classid, objid, objsubid, mode, granted FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() ORDER BY classid::bigint, objid::bigint$c$);
