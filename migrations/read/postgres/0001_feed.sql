-- The read database of one query node, as in ../sqlite: its copy of the log, how far each projection has come, who people
-- are. Tables of projections are not migrated but rebuilt: see ../projections.

CREATE TABLE feed (
    position       BIGINT PRIMARY KEY,
    event_id       TEXT COLLATE "C" NOT NULL UNIQUE,
    stream         TEXT COLLATE "C" NOT NULL,   -- account-<uuid>
    version        BIGINT NOT NULL,
    event_type     TEXT COLLATE "C" NOT NULL,
    schema         BIGINT NOT NULL,
    payload        BYTEA NOT NULL,
    metadata       BYTEA NOT NULL,
    recorded_at    BIGINT NOT NULL,             -- microseconds since 1970
    hash           BYTEA NOT NULL,              -- 32 bytes
    command_id     TEXT COLLATE "C" NOT NULL,
    correlation_id TEXT COLLATE "C" NOT NULL,
    causation_id   TEXT COLLATE "C",
    UNIQUE (stream, version)
);

CREATE INDEX feed_by_correlation ON feed (correlation_id);
CREATE INDEX feed_skips ON feed (position) WHERE event_type = 'projection.event_skipped';
CREATE INDEX feed_ended_sessions ON feed (recorded_at)
    WHERE event_type IN ('session.session_ended', 'session.user_sessions_ended');

CREATE TABLE checkpoints (
    projection   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version      BIGINT NOT NULL,               -- of the projection's code that filled the tables
    position     BIGINT NOT NULL,               -- of the last event they show
    parked_at    BIGINT,                        -- position of the event that cannot be applied
    parked_error TEXT,
    rebuilding   BIGINT,                        -- how far the tables beside them have come, while there are such
    skipped      BIGINT NOT NULL DEFAULT 0      -- how many events it passed that it was told to skip by then
);

-- Who people are, by the bus: latest wins, can be forgotten, in no dump.
CREATE TABLE people (
    id    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name  TEXT NOT NULL,
    email TEXT NOT NULL,
    roles TEXT NOT NULL                         -- a JSON array: ["customer","admin"]
);

-- Holds nothing: readers share its lock, tables that take over want it alone.
CREATE TABLE takeover ();
