-- 100,000 messages for plans and measurements: a frequent category (9 in 10, 2,000 streams), twenty
-- middling ones, a rare one (100 messages, strewn over the whole table), one long stream. Works on any Message
-- DB, for it writes the table.
INSERT INTO message_store.messages (id, stream_name, position, type, data, metadata)
SELECT
    md5(n::text)::uuid,
    stream_name,
    row_number() OVER (PARTITION BY stream_name ORDER BY n) - 1,
    CASE WHEN n % 3 = 0 THEN 'Withdrawn' ELSE 'Deposited' END,
    jsonb_build_object(
        'accountId', md5(n::text)::uuid, 'amount', n, 'time', '2000-01-01T00:00:00.001Z',
        'processedTime', '2000-01-01T00:00:00.001Z', 'description', 'a deposit of some amount'
    ),
    jsonb_build_object(
        'correlationStreamName',
        CASE WHEN n % 2 = 0 THEN 'fundsTransfer-' WHEN n % 1001 = 0 THEN 'audit-' ELSE 'other-' END
            || md5(n::text)::uuid,
        'causationMessageStreamName', 'account:command-' || md5(n::text)::uuid,
        'causationMessagePosition', 1,
        'causationMessageGlobalPosition', n,
        'properties', jsonb_build_object('a', 'b')
    )
FROM (
    SELECT n, CASE
        WHEN n % 1000 = 500 THEN 'rare-' || n / 1000 % 50
        WHEN n % 20 = 7 THEN 'middling' || n / 20 % 20 || '-' || n % 500
        WHEN n % 20 = 9 THEN 'frequent-long'
        ELSE 'frequent-' || md5((n % 2000)::text)::uuid || CASE n % 3 WHEN 0 THEN '+sub' ELSE '' END
    END AS stream_name
    FROM generate_series(1, 100000) AS n
) AS numbered
ORDER BY n;
