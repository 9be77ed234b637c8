-- Who may do what only one process does at a time. fence: grows with each new holder, so that a former one, however late
-- it wakes up, is told apart.
CREATE TABLE leases (
    name         text        PRIMARY KEY,
    holder       text        NOT NULL,
    fence        bigint      NOT NULL,
    expires_at   timestamptz NOT NULL
) WITH (fillfactor = 50);
