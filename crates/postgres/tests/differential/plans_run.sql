-- Runs plans.sql's checks in one session: plans made while the table is empty stay in it.
\set ON_ERROR_STOP 1
\pset tuples_only on
\ir plans.sql
SET jit = off;
-- Those that write come last, for they change what the others read.
CREATE TEMPORARY TABLE writers AS SELECT * FROM plans.reads WHERE call ~ 'write_message|append';
DELETE FROM plans.reads WHERE call ~ 'write_message|append';
SELECT FROM plans.measure('on an empty table', 7);
TRUNCATE plans.checks;
\ir plans_data.sql
SELECT FROM plans.measure('planned on an empty table', 0);
DISCARD PLANS;
SELECT FROM plans.measure('without statistics', 7);
ANALYZE message_store.messages;
SELECT FROM plans.measure('with statistics', 7);
VACUUM message_store.messages;
SELECT FROM plans.measure('with statistics and visibility', 7);
DELETE FROM plans.reads;
INSERT INTO plans.reads (call, index_name, most) SELECT call, index_name, most FROM writers;
SELECT FROM plans.measure('writing', 7);
\pset tuples_only off
SELECT stage, mode, call, index_name, most, entries, others FROM plans.checks WHERE NOT good;
SELECT stage, count(*) AS checks, count(*) FILTER (WHERE NOT good) AS bad FROM plans.checks GROUP BY stage;
DO $$
BEGIN
    IF EXISTS (SELECT FROM plans.checks WHERE NOT good) THEN
        RAISE EXCEPTION 'a read does more than it should';
    END IF;
END
$$;
