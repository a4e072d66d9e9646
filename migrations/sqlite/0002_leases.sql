-- Safe while running: makes three tables that are not there yet; locks the file for writing.
--
-- How the members of a group share its work: a row for each group, for each member that lives, and
-- for each bucket of a group. A lease lasts as long as its member, so only that has a time; a bucket
-- is free whose holder has no row among the members. To forget a group, delete its row. Its id is never
-- given again, by `AUTOINCREMENT`: what is left of it where foreign keys are off, as they are in a shell
-- of SQLite, belongs to no other group.
CREATE TABLE evenfold_groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    buckets INTEGER NOT NULL
) STRICT;

CREATE TABLE evenfold_members (
    group_id INTEGER NOT NULL REFERENCES evenfold_groups ON DELETE CASCADE,
    member BLOB NOT NULL, -- the 16 bytes of the UUID
    label TEXT NOT NULL,
    until INTEGER NOT NULL, -- microseconds since 1970 in UTC
    PRIMARY KEY (group_id, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE evenfold_leases (
    group_id INTEGER NOT NULL REFERENCES evenfold_groups ON DELETE CASCADE,
    bucket INTEGER NOT NULL,
    epoch INTEGER NOT NULL, -- how many holders it has had
    holder BLOB,
    PRIMARY KEY (group_id, bucket)
) STRICT, WITHOUT ROWID;
