-- Entries of accounts: what moved their balance.
CREATE TABLE statement (
    account_id     TEXT NOT NULL,
    version        INTEGER NOT NULL,            -- of the account that the entry wrote
    event_id       TEXT NOT NULL,
    kind           TEXT NOT NULL,               -- deposit, withdrawal, transfer_in, transfer_out, reversal
    amount         INTEGER NOT NULL,            -- positive: in; negative: out
    balance        INTEGER NOT NULL,            -- after this entry, in order of versions
    effective_on   TEXT NOT NULL,               -- 2026-11-22
    recorded_at    INTEGER NOT NULL,            -- microseconds since 1970
    description    TEXT,                        -- of a reversal: its reason
    transfer_id    TEXT,
    counterparty   TEXT,                        -- the other account of a transfer
    reverses       TEXT,                        -- event id
    reversed_by    TEXT,                        -- event id
    search         TEXT NOT NULL,               -- description and ids in lower case (Unicode)
    entry_position INTEGER NOT NULL,
    position       INTEGER NOT NULL,            -- of the event that changed the row last
    PRIMARY KEY (account_id, version),
    UNIQUE (entry_position)
) STRICT, WITHOUT ROWID;

-- Whose entries they are.
CREATE TABLE statement_accounts (
    account_id TEXT NOT NULL PRIMARY KEY,
    owner      TEXT NOT NULL,
    UNIQUE (owner, account_id)
) STRICT, WITHOUT ROWID;

-- What transfers on their way were described as; gone when they have ended.
CREATE TABLE statement_transfers (
    transfer_id TEXT NOT NULL PRIMARY KEY,
    description TEXT NOT NULL
) STRICT, WITHOUT ROWID;
