-- Safe while running: adds a schema of its own, `evenfold`, with three tables and two functions. It
-- touches nothing of Message DB, so it locks nothing that anybody waits for. May be run again.
--
-- How the members of a group share its work: a row for each group, for each member that lives, and
-- for each bucket of a group. A lease lasts as long as its member, so only that has a time; a bucket
-- is free whose holder has no row among the members. To forget a group, delete its row.
--
-- Each call locks the row of its group until it commits, so calls for one group go one after another,
-- and those for others do not meet. There are no locks of sessions: a pooler may lead each
-- transaction to another one. To be run in one transaction.

DO $$
BEGIN
    -- Where it is there, `IF NOT EXISTS` would still ask for the right to make one.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'evenfold') THEN
        CREATE SCHEMA evenfold;
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS evenfold.groups (
    name text PRIMARY KEY,
    buckets integer NOT NULL
);

CREATE TABLE IF NOT EXISTS evenfold.members (
    group_name text REFERENCES evenfold.groups ON DELETE CASCADE,
    member uuid,
    label text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (group_name, member)
) WITH (fillfactor = 50); -- a renewal finds room on the page, and touches no index

CREATE TABLE IF NOT EXISTS evenfold.leases (
    group_name text REFERENCES evenfold.groups ON DELETE CASCADE,
    bucket integer,
    epoch bigint NOT NULL, -- how many holders it has had
    holder uuid,
    PRIMARY KEY (group_name, bucket)
);

-- Notes that a member lives for so many microseconds from now, lets it take free buckets up to its
-- share, and returns the number of buckets that the group has, the leases of the member, its share,
-- and how many members there are. With another number of buckets nothing is done, and the rest is null.
CREATE OR REPLACE FUNCTION evenfold.renew_leases(
    _group text,
    _buckets integer,
    _member uuid,
    _label text,
    _ttl bigint
) RETURNS TABLE (
    known_buckets integer,
    held_buckets integer[],
    held_epochs bigint[],
    share integer,
    member_count integer
)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _now timestamptz;
    _before integer;
    _held integer;
BEGIN
    -- The statements after this one see what was committed while we waited.
    SELECT g.buckets INTO known_buckets
    FROM evenfold.groups AS g WHERE g.name = _group FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO evenfold.groups (name, buckets) VALUES (_group, _buckets)
        ON CONFLICT DO NOTHING;
        IF FOUND THEN
            INSERT INTO evenfold.leases (group_name, bucket, epoch)
            SELECT _group, n, 0 FROM generate_series(0, _buckets - 1) AS n;
        END IF;
        SELECT g.buckets INTO known_buckets
        FROM evenfold.groups AS g WHERE g.name = _group FOR UPDATE;
    END IF;
    IF known_buckets <> _buckets THEN
        RETURN NEXT;
        RETURN;
    END IF;

    _now := clock_timestamp();
    DELETE FROM evenfold.members AS m
    WHERE m.group_name = _group AND m.until <= _now AND m.member <> _member;
    INSERT INTO evenfold.members AS m (group_name, member, label, until)
    VALUES (_group, _member, _label, _now + _ttl * interval '1 microsecond')
    ON CONFLICT ON CONSTRAINT members_pkey DO UPDATE
    SET label = excluded.label, until = excluded.until;

    SELECT count(*), count(*) FILTER (WHERE m.member < _member) INTO member_count, _before
    FROM evenfold.members AS m WHERE m.group_name = _group;
    share := _buckets / member_count
        + CASE WHEN _before < _buckets % member_count THEN 1 ELSE 0 END;
    SELECT count(*) INTO _held
    FROM evenfold.leases AS l WHERE l.group_name = _group AND l.holder = _member;
    IF _held < share THEN
        UPDATE evenfold.leases AS l SET holder = _member, epoch = l.epoch + 1
        WHERE l.group_name = _group AND l.bucket IN (
            SELECT free.bucket FROM evenfold.leases AS free
            WHERE free.group_name = _group AND NOT EXISTS (
                SELECT FROM evenfold.members AS m
                WHERE m.group_name = _group AND m.member = free.holder
            )
            ORDER BY free.bucket
            LIMIT share - _held
        );
    END IF;

    SELECT array_agg(l.bucket ORDER BY l.bucket), array_agg(l.epoch ORDER BY l.bucket)
    INTO held_buckets, held_epochs
    FROM evenfold.leases AS l WHERE l.group_name = _group AND l.holder = _member;
    RETURN NEXT;
END
$$;

-- Frees these buckets of a member; where none are named, all, and it is a member no more. Returns the
-- number of buckets that the group has, null where there is no group; where that is another than the
-- one that is asked for, nothing is done.
CREATE OR REPLACE FUNCTION evenfold.release_leases(
    _group text,
    _buckets integer,
    _member uuid,
    _released integer[] DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    _known integer;
BEGIN
    SELECT g.buckets INTO _known FROM evenfold.groups AS g WHERE g.name = _group FOR UPDATE;
    IF _known = _buckets THEN
        UPDATE evenfold.leases AS l SET holder = NULL
        WHERE l.group_name = _group AND l.holder = _member
            AND (_released IS NULL OR l.bucket = ANY (_released));
        IF _released IS NULL THEN
            DELETE FROM evenfold.members AS m
            WHERE m.group_name = _group AND m.member = _member;
        END IF;
    END IF;
    RETURN _known;
END
$$;

DO $$
BEGIN
    IF pg_catalog.to_regrole('message_store') IS NULL THEN
        RETURN;
    END IF;
    GRANT USAGE ON SCHEMA evenfold TO message_store;
    GRANT SELECT, INSERT, UPDATE, DELETE
        ON evenfold.groups, evenfold.members, evenfold.leases TO message_store;
    GRANT EXECUTE ON FUNCTION
        evenfold.renew_leases(text, integer, uuid, text, bigint),
        evenfold.release_leases(text, integer, uuid, integer[])
    TO message_store;
END
$$;
