-- Who people are: beside the log, never in it, so that a person can be forgotten.
CREATE TABLE people (
    id            TEXT    NOT NULL PRIMARY KEY,        -- UUID; all that events ever say of a person
    email         TEXT    COLLATE NOCASE UNIQUE,       -- lower case
    name          TEXT,
    roles         TEXT    NOT NULL DEFAULT '[]',       -- JSON array of role names
    password_hash TEXT,                                -- Argon2id, PHC string
    disabled      INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,                    -- microseconds since 1970
    -- Known with everything, or forgotten: only the id is left, so that everyone else learns to forget, too.
    CHECK ((email IS NULL) = (name IS NULL) AND (email IS NULL) = (password_hash IS NULL))
) STRICT;

-- Counts changes to people, those of another process included, so that a running server notices them.
CREATE TABLE people_changes (count INTEGER NOT NULL) STRICT;

INSERT INTO people_changes VALUES (0);

CREATE TRIGGER people_added AFTER INSERT ON people
BEGIN
    UPDATE people_changes SET count = count + 1;
END;

CREATE TRIGGER people_changed AFTER UPDATE ON people
BEGIN
    UPDATE people_changes SET count = count + 1;
END;

-- Ends of sessions that the log still has to be told: written with the change that caused them, removed when told.
CREATE TABLE session_ends_due (
    command_id TEXT NOT NULL PRIMARY KEY,
    user_id    TEXT NOT NULL,
    reason     TEXT NOT NULL,
    actor      TEXT NOT NULL                           -- who changed it, as in the metadata of events
) STRICT;
