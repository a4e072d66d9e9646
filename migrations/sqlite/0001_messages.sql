-- Safe while running: makes a table and indexes that are not there yet; locks the file for writing.
--
-- One row a message; only ever inserted. `AUTOINCREMENT`, so that a global position is never given
-- twice, also when the last message was deleted by hand. SQLite has one writer at a time, so global
-- order is commit order. The data stands last: whatever is before it is read without walking
-- through the pages of long data.
CREATE TABLE messages (
    global_position INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL, -- the 16 bytes of the UUID
    stream_name TEXT NOT NULL,
    -- Checked and not generated: no index on a generated column covers a query, so that counting a
    -- category would read every row of it.
    category TEXT NOT NULL
        CHECK (category = substr(stream_name, 1, instr(stream_name || '-', '-') - 1)),
    type TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- Microseconds since 1970 in UTC: what Postgres keeps, in 8 bytes and without a parser on the
    -- way out. `datetime(time / 1000000, 'unixepoch')` shows it to a person.
    time INTEGER NOT NULL,
    -- `hash_64` of the cardinal id in the stream name, by which consumer groups share a category.
    -- NULL where the stream has no id.
    cardinal_hash INTEGER,
    metadata TEXT, -- NULL stands for {}
    data TEXT, -- NULL stands for {}
    -- Metadata that is not JSON names no correlation, and is no error.
    correlation_category TEXT GENERATED ALWAYS AS (
        CASE WHEN json_valid(metadata) THEN substr(
            metadata ->> '$.correlationStreamName',
            1,
            instr((metadata ->> '$.correlationStreamName') || '-', '-') - 1
        ) END
    ) VIRTUAL
) STRICT;

CREATE UNIQUE INDEX messages_id ON messages (id);
CREATE UNIQUE INDEX messages_stream ON messages (stream_name, position);
-- An index ends with the row's key, so this one is sorted by category and global position.
CREATE INDEX messages_category ON messages (category);
