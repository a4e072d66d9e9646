-- The differential test of Message DB's SQL: a table of calls, run in its order in one transaction on
-- a database, each call in a subtransaction of its own, with rows or error kept as text.
--
-- `calls.sql` fills the table, `differential.run` runs it, and `../differential.rs` compares the outcomes
-- of two databases. A call that is to differ says why in `on_purpose`, and then must differ. Only a
-- superuser can run it, for it plays roles.

DROP SCHEMA IF EXISTS differential CASCADE;
CREATE SCHEMA differential;
GRANT USAGE ON SCHEMA differential TO PUBLIC;

CREATE TABLE differential.calls (
    n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    call text NOT NULL, -- a query, whose rows are kept, or another statement
    on_purpose text, -- why the two differ here
    as_role text,
    search_path text, -- for this call alone, where names are to be printed whole
    outcome text
);

-- What a call did, as one text. Times are normalised; nothing else is.
CREATE FUNCTION differential.outcome(call text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    _rows text;
    _state text;
    _message text;
    _detail text;
    _hint text;
    _schema text;
    _table text;
    _column text;
    _constraint text;
    _datatype text;
BEGIN
    IF call ~* '^\s*(select|with|table|values)\M' THEN
        EXECUTE format(
            'SELECT coalesce(string_agg(pg_catalog.row_to_json(q)::text, E''\n''), ''no rows'') FROM (%s) AS q',
            call
        ) INTO _rows;
    ELSE
        EXECUTE call;
        _rows := 'done';
    END IF;
    RETURN regexp_replace(_rows, '\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?', '<time>', 'g');
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS
            _state := RETURNED_SQLSTATE,
            _message := MESSAGE_TEXT,
            _detail := PG_EXCEPTION_DETAIL,
            _hint := PG_EXCEPTION_HINT,
            _schema := SCHEMA_NAME,
            _table := TABLE_NAME,
            _column := COLUMN_NAME,
            _constraint := CONSTRAINT_NAME,
            _datatype := PG_DATATYPE_NAME;
        RETURN 'ERROR ' || regexp_replace(
            concat_ws(
                ' | ', _state, _message, _detail, _hint, _schema, _table, _column, _constraint, _datatype
            ), '\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?', '<time>', 'g'
        );
END
$$;

CREATE FUNCTION differential.run() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    _next differential.calls;
    _outcome text;
    _path text := current_setting('search_path');
BEGIN
    TRUNCATE message_store.messages RESTART IDENTITY;
    FOR _next IN SELECT * FROM differential.calls ORDER BY n LOOP
        IF _next.as_role IS NOT NULL THEN
            PERFORM set_config('role', _next.as_role, true);
        END IF;
        IF _next.search_path IS NOT NULL THEN
            PERFORM set_config('search_path', _next.search_path, true);
        END IF;
        _outcome := differential.outcome(_next.call);
        PERFORM set_config('role', 'none', true), set_config('search_path', _path, true);
        UPDATE differential.calls SET outcome = _outcome WHERE n = _next.n;
    END LOOP;
    RETURN (SELECT count(*) FROM differential.calls);
END
$$;
