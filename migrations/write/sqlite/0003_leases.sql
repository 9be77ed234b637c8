-- Who may do what only one process does at a time. fence: grows with each new holder, so that a former one, however late
-- it wakes up, is told apart.
CREATE TABLE leases (
    name         TEXT    PRIMARY KEY,
    holder       TEXT    NOT NULL,
    fence        INTEGER NOT NULL,
    -- microseconds since 1970
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
