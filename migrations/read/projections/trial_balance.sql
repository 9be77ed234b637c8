-- Both sides of the book, by currency: balances + in_transit = deposits - withdrawals.
-- Sums over all accounts can be beyond 64 bits: they are kept as text, decimal, exact.
CREATE TABLE trial_balance (
    currency    TEXT NOT NULL PRIMARY KEY,
    balances    TEXT NOT NULL,
    in_transit  TEXT NOT NULL,
    deposits    TEXT NOT NULL,
    withdrawals TEXT NOT NULL,
    position    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE trial_balance_accounts (
    account_id TEXT NOT NULL PRIMARY KEY,
    currency   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
