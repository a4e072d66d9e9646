-- Runs plans.sql's checks in one session: plans made while the table is empty stay in it.
\set ON_ERROR_STOP 1
\ir plans.sql
SET jit = off;
-- Writers in the list would write here, so the empty table is met by the reads alone.
CREATE TEMPORARY TABLE writers AS SELECT * FROM plans.reads WHERE call ~ 'write_message|append';
DELETE FROM plans.reads WHERE call ~ 'write_message|append';
SELECT plans.check('on an empty table', 7);
TRUNCATE plans.checks;
\ir plans_data.sql
SELECT plans.check('planned on an empty table', 0);
DISCARD PLANS;
SELECT plans.check('without statistics', 7);
INSERT INTO plans.reads (call, index_name, most) SELECT call, index_name, most FROM writers;
ANALYZE message_store.messages;
SELECT plans.check('with statistics', 7);
VACUUM message_store.messages;
SELECT plans.check('with statistics and visibility', 7);
SELECT stage, mode, call, index_name, most, entries, others FROM plans.checks WHERE NOT good;
SELECT stage, count(*) AS checks, count(*) FILTER (WHERE NOT good) AS bad FROM plans.checks GROUP BY stage;
DO $$
BEGIN
    IF EXISTS (SELECT FROM plans.checks WHERE NOT good) THEN
        RAISE EXCEPTION 'a read does more than it should';
    END IF;
END
$$;
