-- What moved in and out of an account on one day, by effective date. A sum beyond 2^63 - 1 stays there.
CREATE TABLE daily_totals (
    account_id TEXT NOT NULL,
    date       TEXT NOT NULL,                   -- 2026-11-22
    money_in   INTEGER NOT NULL,
    money_out  INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    PRIMARY KEY (account_id, date)
) STRICT, WITHOUT ROWID;
