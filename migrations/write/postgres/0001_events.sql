-- The event log. What is in it stays as it is: privileges and the triggers below refuse every change, whoever asks, the
-- owner included.

CREATE TABLE events (
    position     bigint   PRIMARY KEY,
    event_id     uuid     NOT NULL CONSTRAINT events_event_id UNIQUE,
    -- 1 account, 2 transfer, 3 session, 4 user, 5 projection
    stream_kind  smallint NOT NULL,
    stream_id    uuid     NOT NULL,
    version      bigint   NOT NULL CHECK (version > 0),
    event_type   text     NOT NULL,
    schema       integer  NOT NULL,
    payload      bytea    NOT NULL,
    metadata     bytea    NOT NULL,
    -- microseconds since 1970
    recorded_at  bigint   NOT NULL,
    hash         bytea    NOT NULL CHECK (octet_length(hash) = 32),
    CONSTRAINT events_stream_version UNIQUE (stream_id, stream_kind, version)
);

-- One row: where the log ends. hash: running hash over all events. Whoever appends changes this row first, so it puts all
-- writers in order, and what is visible is never beyond something that is not yet.
CREATE TABLE log_head (
    one          smallint PRIMARY KEY CHECK (one = 1),
    position     bigint   NOT NULL,
    hash         bytea    NOT NULL CHECK (octet_length(hash) = 32),
    recorded_at  bigint   NOT NULL
) WITH (fillfactor = 10);

INSERT INTO log_head VALUES (1, 0, decode(repeat('00', 32), 'hex'), 0);

-- How far each reader of the log has come.
CREATE TABLE checkpoints (
    name         text     PRIMARY KEY,
    position     bigint   NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed by %', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION never();

CREATE TRIGGER log_head_is_one_row BEFORE INSERT OR DELETE OR TRUNCATE ON log_head
    FOR EACH STATEMENT EXECUTE FUNCTION never();

-- Both triggers below fire at the end of the statement, which has to insert the events and to move the head.

CREATE FUNCTION events_are_only_appended() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first bigint;
    last bigint;
    count bigint;
BEGIN
    SELECT min(position), max(position), count(*) INTO first, last, count FROM added;
    IF count > 0 AND (
        last - first + 1 <> count
        OR first <> (SELECT coalesce(max(position), 0) + 1 FROM events WHERE position < first)
        OR last <> (SELECT position FROM log_head)
    ) THEN
        RAISE EXCEPTION 'events are only appended, with log_head' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER events_are_only_appended AFTER INSERT ON events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_only_appended();

CREATE FUNCTION log_head_only_follows_the_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.position <= OLD.position OR NEW.position <> (SELECT coalesce(max(position), 0) FROM events) THEN
        RAISE EXCEPTION 'log_head only follows the events' USING ERRCODE = 'restrict_violation';
    END IF;
    -- Heard after the commit by every process that follows the log.
    PERFORM pg_notify('daybook_log', NEW.position::text);
    RETURN NULL;
END $$;

CREATE TRIGGER log_head_only_follows_the_events AFTER UPDATE ON log_head
    FOR EACH ROW EXECUTE FUNCTION log_head_only_follows_the_events();

-- In sessions that replay from elsewhere, too (session_replication_role).
ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_never_changed;
ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_only_appended;
ALTER TABLE log_head ENABLE ALWAYS TRIGGER log_head_is_one_row;
ALTER TABLE log_head ENABLE ALWAYS TRIGGER log_head_only_follows_the_events;
