-- Accounts as they stand. Amounts: minor units of `currency`.
-- Secondary indexes are written as UNIQUE constraints, so that they follow their table when it is renamed.
CREATE TABLE accounts (
    id              TEXT NOT NULL PRIMARY KEY,
    owner           TEXT NOT NULL,
    name            TEXT NOT NULL,
    currency        TEXT NOT NULL,
    balance         INTEGER NOT NULL,
    held            INTEGER NOT NULL,
    expected        INTEGER NOT NULL,
    available       INTEGER NOT NULL,
    overdraft_limit INTEGER NOT NULL,
    status          TEXT NOT NULL,              -- open, frozen, closed
    opened_at       INTEGER NOT NULL,           -- microseconds since 1970
    version         INTEGER NOT NULL,
    position        INTEGER NOT NULL,           -- of the account's last event
    UNIQUE (owner, id),
    UNIQUE (position)
) STRICT, WITHOUT ROWID;
