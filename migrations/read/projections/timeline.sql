-- What the timeline filters by; payloads, metadata and hashes are in `feed`, under the same position.
CREATE TABLE timeline (
    position       INTEGER PRIMARY KEY,
    stream         TEXT NOT NULL,
    version        INTEGER NOT NULL,
    event_type     TEXT NOT NULL,
    currency       TEXT,
    actor          TEXT NOT NULL,               -- user-<uuid>, process_manager, operator
    correlation_id TEXT NOT NULL,               -- has its index in `feed`
    search         TEXT NOT NULL,               -- what happened, in plain words, lower case (Unicode); no one's name
    UNIQUE (stream, position),
    UNIQUE (event_type, position)
) STRICT;

-- Who besides admins may see all of a stream, since the event at `from_position`.
CREATE TABLE stream_readers (
    user_id       TEXT NOT NULL,
    stream        TEXT NOT NULL,
    from_position INTEGER NOT NULL,
    PRIMARY KEY (user_id, stream),
    UNIQUE (stream, user_id)
) STRICT, WITHOUT ROWID;

-- What later events of an account or a transfer do not say themselves.
CREATE TABLE timeline_streams (
    stream   TEXT NOT NULL PRIMARY KEY,
    currency TEXT NOT NULL,
    owner    TEXT                               -- of an account
) STRICT, WITHOUT ROWID;
