-- The read database of one query node: its copy of the log, how far each projection has come, who people are.
-- Tables of projections are not migrated but rebuilt: see projections/*.sql.

CREATE TABLE feed (
    position       INTEGER PRIMARY KEY,
    event_id       TEXT NOT NULL UNIQUE,
    stream         TEXT NOT NULL,               -- account-<uuid>
    version        INTEGER NOT NULL,
    event_type     TEXT NOT NULL,
    schema         INTEGER NOT NULL,
    payload        BLOB NOT NULL,
    metadata       BLOB NOT NULL,
    recorded_at    INTEGER NOT NULL,            -- microseconds since 1970
    hash           BLOB NOT NULL,               -- 32 bytes
    command_id     TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id   TEXT,
    UNIQUE (stream, version)
) STRICT;

CREATE INDEX feed_by_correlation ON feed (correlation_id);
CREATE INDEX feed_skips ON feed (position) WHERE event_type = 'projection.event_skipped';
CREATE INDEX feed_ended_sessions ON feed (recorded_at)
    WHERE event_type IN ('session.session_ended', 'session.user_sessions_ended');

CREATE TABLE checkpoints (
    projection   TEXT NOT NULL PRIMARY KEY,
    version      INTEGER NOT NULL,              -- of the projection's code that filled the tables
    position     INTEGER NOT NULL,              -- of the last event they show
    parked_at    INTEGER,                       -- position of the event that cannot be applied
    parked_error TEXT,
    rebuilding   INTEGER                        -- how far the tables beside them have come, while there are such
) STRICT, WITHOUT ROWID;

-- Who people are, by the bus: latest wins, can be forgotten, in no dump.
CREATE TABLE people (
    id    TEXT NOT NULL PRIMARY KEY,
    name  TEXT NOT NULL,
    email TEXT NOT NULL,
    roles TEXT NOT NULL                         -- a JSON array: ["customer","admin"]
) STRICT, WITHOUT ROWID;
