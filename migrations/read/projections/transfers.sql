-- Transfers and who may see them.
CREATE TABLE transfers (
    id                 TEXT NOT NULL PRIMARY KEY,
    from_account       TEXT NOT NULL,
    to_account         TEXT NOT NULL,
    amount             INTEGER NOT NULL,        -- minor units of `currency`
    currency           TEXT NOT NULL,
    description        TEXT,
    state              TEXT NOT NULL,           -- requested, held, promised, in_transit, completed, declined
    reason             TEXT,                    -- as `DeclineReason` is written: insufficient_funds
    requested_at       INTEGER NOT NULL,        -- microseconds since 1970
    updated_at         INTEGER NOT NULL,
    version            INTEGER NOT NULL,        -- of the transfer's own stream
    requested_position INTEGER NOT NULL,        -- order of lists; stays
    position           INTEGER NOT NULL,        -- of the event that changed the row last
    from_owner         TEXT,                    -- NULL: the account is not known
    to_owner           TEXT,                    -- NULL until the destination has promised: its owner sees it from then on
    UNIQUE (position),
    UNIQUE (requested_position),
    UNIQUE (from_account, requested_position),
    UNIQUE (to_account, requested_position),
    UNIQUE (from_owner, requested_position),
    UNIQUE (to_owner, requested_position)
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer_accounts (
    account_id TEXT NOT NULL PRIMARY KEY,
    owner      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
