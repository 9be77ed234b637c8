-- The event log. What is in it stays as it is: the triggers below refuse every change, whoever asks.

CREATE TABLE events (
    position     INTEGER PRIMARY KEY,
    event_id     BLOB    NOT NULL UNIQUE CHECK (length(event_id) = 16),
    -- 1 account, 2 transfer, 3 session, 4 user, 5 projection
    stream_kind  INTEGER NOT NULL,
    stream_id    BLOB    NOT NULL CHECK (length(stream_id) = 16),
    version      INTEGER NOT NULL CHECK (version > 0),
    event_type   TEXT    NOT NULL,
    schema       INTEGER NOT NULL,
    payload      BLOB    NOT NULL,
    metadata     BLOB    NOT NULL,
    -- microseconds since 1970
    recorded_at  INTEGER NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    UNIQUE (stream_id, stream_kind, version)
) STRICT;

-- One row: where the log ends. hash: running hash over all events.
CREATE TABLE log_head (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    position     INTEGER NOT NULL,
    hash         BLOB    NOT NULL CHECK (length(hash) = 32),
    recorded_at  INTEGER NOT NULL
) STRICT;

INSERT INTO log_head VALUES (1, 0, zeroblob(32), 0);

-- How far each reader of the log has come.
CREATE TABLE checkpoints (
    name         TEXT    PRIMARY KEY,
    position     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never deleted');
END;

-- INSERT OR REPLACE deletes the row in its way without firing a delete trigger, so an insert that would meet one is
-- refused before it does. The first condition also keeps positions gapless.
CREATE TRIGGER events_are_only_appended BEFORE INSERT ON events
WHEN NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM events)
    OR EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id)
    OR EXISTS (SELECT 1 FROM events
               WHERE stream_id = NEW.stream_id AND stream_kind = NEW.stream_kind AND version = NEW.version)
BEGIN
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM events WHERE event_id = NEW.event_id) THEN RAISE(ABORT, 'event id is in the log')
        ELSE RAISE(ABORT, 'events are only appended')
    END;
END;

CREATE TRIGGER log_head_only_follows_the_events BEFORE UPDATE ON log_head
WHEN NEW.position < OLD.position OR NEW.position <> (SELECT coalesce(max(position), 0) FROM events)
BEGIN
    SELECT RAISE(ABORT, 'log_head only follows the events');
END;

CREATE TRIGGER log_head_is_one_row BEFORE INSERT ON log_head
BEGIN
    SELECT RAISE(ABORT, 'log_head is one row');
END;

CREATE TRIGGER log_head_is_never_deleted BEFORE DELETE ON log_head
BEGIN
    SELECT RAISE(ABORT, 'log_head is never deleted');
END;
