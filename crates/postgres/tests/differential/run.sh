#!/usr/bin/env bash
# Runs the table of calls on the genuine Message DB and on ours, and compares. To be run as
#   cargo xtask db -- crates/postgres/tests/differential/run.sh [FOLDER]
# where FOLDER is the `database` folder of npm's @eventide/message-db; without it, npm fetches it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
database=${1:-}
if [ -z "$database" ]; then
    (cd "$work" && npm pack --silent @eventide/message-db@1.3.1 >/dev/null && tar xzf ./*.tgz)
    database=$work/package/database
fi
sql() { psql -X -q -v ON_ERROR_STOP=1 "$@"; }

# Ours is installed first, where no role exists yet in a fresh cluster; ours must make it.
sql -d postgres -c 'DROP DATABASE IF EXISTS differential_ours' -c 'DROP DATABASE IF EXISTS differential_genuine' \
    -c 'CREATE DATABASE differential_ours' 2>"$work/notices"
for file in "$root"/migrations/postgres/*.sql; do
    sql -d differential_ours -1 -f "$file"
done
DATABASE_NAME=differential_genuine "$database/install.sh" >"$work/install" 2>&1 || { cat "$work/install"; exit 1; }

# The genuine functions need a search_path; ours get none at all.
run() {
    PGOPTIONS="-c search_path=$2 -c client_min_messages=warning" sql -d "$1" -At -f "$here/harness.sql" \
        -f "$here/calls.sql" -c 'SELECT differential.run()' >"$work/$1.count"
    sql -d "$1" -At -c "COPY (SELECT n, name, call, on_purpose, outcome FROM differential.calls ORDER BY n) TO STDOUT" \
        >"$work/$1.rows"
}
run differential_genuine message_store,public
run differential_ours pg_catalog

sql -d differential_ours <<SQL
CREATE TABLE differential.genuine (n int, name text, call text, on_purpose text, outcome text);
\copy differential.genuine FROM '$work/differential_genuine.rows'
CREATE VIEW differential.differences AS
SELECT o.n, o.name, o.call, o.on_purpose, g.outcome AS genuine, o.outcome AS ours
FROM differential.calls AS o FULL JOIN differential.genuine AS g ON g.n = o.n AND g.call = o.call
WHERE o.outcome IS DISTINCT FROM g.outcome;
SQL
sql -d differential_ours -x -c "
    SELECT n, name, left(call, 600) AS call, left(genuine, 1500) AS genuine, left(ours, 1500) AS ours
    FROM differential.differences WHERE on_purpose IS NULL ORDER BY n LIMIT ${LIMIT:-20}"
sql -d differential_ours -c "
    SELECT n, name, on_purpose FROM differential.calls WHERE on_purpose IS NOT NULL ORDER BY n"
sql -d differential_ours -At -F ' ' <<'SQL'
SELECT count(*), 'calls,', count(*) FILTER (WHERE outcome LIKE 'ERROR %'), 'of them errors,',
    count(DISTINCT substr(outcome, 7, 5)) FILTER (WHERE outcome LIKE 'ERROR %'), 'SQLSTATEs' FROM differential.calls;
SELECT count(*) FILTER (WHERE on_purpose IS NULL), 'differences,',
    count(*) FILTER (WHERE on_purpose IS NOT NULL), 'on purpose' FROM differential.differences;
SELECT 'not a difference any more:', n, name FROM differential.calls AS c
    WHERE on_purpose IS NOT NULL AND NOT EXISTS (SELECT FROM differential.differences AS d WHERE d.n = c.n);
\set ON_ERROR_STOP 1
DO $$
BEGIN
    IF (SELECT count(*) FROM differential.differences WHERE on_purpose IS NULL) > 0
        OR (SELECT count(*) FROM differential.differences) <> (SELECT count(on_purpose) FROM differential.calls) THEN
        RAISE EXCEPTION 'the two schemas do not do the same';
    END IF;
END
$$;
SQL

# What each read of ours touches.
sql -d postgres -c 'DROP DATABASE IF EXISTS differential_plans' -c 'CREATE DATABASE differential_plans' 2>>"$work/notices"
for file in "$root"/migrations/postgres/*.sql; do
    sql -d differential_plans -1 -f "$file"
done
PGOPTIONS='-c client_min_messages=warning' sql -d differential_plans -f "$here/plans_run.sql"

# Our own functions, on our schema and on a genuine one that adopted them.
PGOPTIONS='-c search_path=pg_catalog' sql -d differential_ours -f "$here/append.sql"
sql -d differential_genuine -1 -f "$root/migrations/postgres/0002_append.sql"
PGOPTIONS='-c search_path=message_store,public' sql -d differential_genuine -f "$here/append.sql"

# An owner who may not create roles, in a cluster that has no role: everything but the grants.
sql -d postgres -c 'DROP DATABASE IF EXISTS differential_plain' -c 'DROP ROLE IF EXISTS differential_plain' \
    -c 'CREATE ROLE differential_plain LOGIN' -c 'CREATE DATABASE differential_plain OWNER differential_plain' 2>>"$work/notices"
PGOPTIONS='-c client_min_messages=warning' sql -d postgres -c 'ALTER ROLE message_store RENAME TO message_store_away'
trap 'sql -d postgres -c "ALTER ROLE message_store_away RENAME TO message_store"; rm -rf "$work"' EXIT
for file in "$root"/migrations/postgres/*.sql; do
    sql -U differential_plain -d differential_plain -1 -f "$file"
done
sql -U differential_plain -d differential_plain -At -c "
    SELECT 'written at', message_store.write_message(gen_random_uuid()::varchar, 'a-1', 'T', '{}')"
if sql -U differential_plain -d differential_plain -1 -f "$root/migrations/postgres/0001_message_store.sql" 2>"$work/again"; then
    echo 'installed twice'; exit 1
fi
cat "$work/again"
