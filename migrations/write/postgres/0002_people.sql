-- Who people are: beside the log, never in it, so that a person can be forgotten.
CREATE TABLE people (
    id            text    PRIMARY KEY,                 -- UUID; all that events ever say of a person
    email         text    UNIQUE,                      -- lower case
    name          text,
    roles         text    NOT NULL DEFAULT '[]',       -- JSON array of role names
    password_hash text,                                -- Argon2id, PHC string
    disabled      boolean NOT NULL DEFAULT FALSE,
    created_at    bigint  NOT NULL,                    -- microseconds since 1970
    -- Known with everything, or forgotten: only the id is left, so that everyone else learns to forget, too.
    CHECK ((email IS NULL) = (name IS NULL) AND (email IS NULL) = (password_hash IS NULL))
);

-- Counts changes to people, those of another process included, so that a running server notices them.
CREATE TABLE people_changes (count bigint NOT NULL);

INSERT INTO people_changes VALUES (0);

CREATE FUNCTION people_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE people_changes SET count = count + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER people_changed AFTER INSERT OR UPDATE ON people
    FOR EACH ROW EXECUTE FUNCTION people_changed();

-- Ends of sessions that the log still has to be told: written with the change that caused them, removed when told.
CREATE TABLE session_ends_due (
    -- In the order in which they were written; called as SQLite calls it.
    rowid      bigint GENERATED ALWAYS AS IDENTITY,
    command_id text   PRIMARY KEY,
    user_id    text   NOT NULL,
    reason     text   NOT NULL,
    actor      text   NOT NULL                         -- who changed it, as in the metadata of events
);
