//! The two pages that show several views at once, each read in one transaction.

use app::{
    domain::{AccountId, Date},
    ports::Viewer,
    wire::{AccountPage, AccountView, DailyTotal, DayBalance, DayBalances, Overview, Position},
};

use super::{
    super::{
        columns::text,
        sql::{DbError, Sql, Tx},
    },
    accounts, statement, transfers,
};

/// How many accounts an overview shows at most.
const ACCOUNTS_SHOWN: usize = 100;
/// How many of the newest entries it shows.
const LATEST: i64 = 10;
/// How many days the chart goes back.
const CHART_DAYS: i32 = 90;

pub(super) async fn overview(tx: &mut Tx, viewer: &Viewer) -> Result<Overview, DbError> {
    let listed = accounts::for_overview(tx, viewer, ACCOUNTS_SHOWN).await?;
    let shown: Vec<AccountId> = listed.iter().map(|account| account.id).collect();
    // Whoever moved last is among the accounts that changed last: an admin's newest entries need no filter.
    let of = if viewer.is_admin() { None } else { Some(shown.as_slice()) };
    let latest = statement::latest(tx, of, LATEST).await?;
    let totals = accounts::totals(tx, viewer).await?;
    Ok(Overview { accounts: listed, totals, latest })
}

/// `None` if there is no such account for this viewer.
pub(super) async fn account_page(
    tx: &mut Tx,
    viewer: &Viewer,
    id: AccountId,
    query: &statement::Query,
    today: Date,
) -> Result<Option<AccountPage>, DbError> {
    let Some(account) = accounts::visible(tx, viewer, id).await? else { return Ok(None) };
    let statement = statement::page(tx, id, query).await?;
    let pending = if busy(&account) { transfers::pending(tx, id).await? } else { vec![] };
    let days = days(tx, id, today).await?;
    Ok(Some(AccountPage { account, statement, pending, days }))
}

/// Only then is there a pending transfer to be looked for.
fn busy(account: &AccountView) -> bool {
    account.held != 0 || account.expected != 0
}

/// What the chart of an account shows.
pub(super) async fn days(tx: &mut Tx, account: AccountId, today: Date) -> Result<DayBalances, DbError> {
    let days = day_balances(&daily_totals(tx, account).await?, today);
    let position = Sql::new("SELECT MAX(position) AS position FROM daily_totals WHERE account_id = ?")
        .bind(account.to_string())
        .fetch_one(tx)
        .await?;
    let position: Option<i64> = position.try_get("position")?;
    Ok(DayBalances { days, position: position.map_or(Position(0), Position::from_i64) })
}

/// All days with movements, oldest first.
pub(super) async fn daily_totals(tx: &mut Tx, account: AccountId) -> Result<Vec<DailyTotal>, DbError> {
    let rows = Sql::new("SELECT date, money_in, money_out FROM daily_totals WHERE account_id = ? ORDER BY date")
        .bind(account.to_string())
        .fetch_all(tx)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(DailyTotal {
                date: text(row, "date")?,
                money_in: row.try_get("money_in")?,
                money_out: row.try_get("money_out")?,
            })
        })
        .collect()
}

/// End-of-day balances of the days with movements among the last 90, after the balance before them.
fn day_balances(totals: &[DailyTotal], today: Date) -> Vec<DayBalance> {
    let begin = Date::from_days(today.days() - CHART_DAYS);
    let mut balance = 0i128;
    let mut day = |total: &DailyTotal| {
        balance += i128::from(total.money_in) - i128::from(total.money_out);
        i64::try_from(balance).unwrap_or(if balance < 0 { i64::MIN } else { i64::MAX })
    };
    let (before, shown): (Vec<_>, Vec<_>) = totals.iter().partition(|total| total.date <= begin);
    let carried = before.into_iter().map(&mut day).last().unwrap_or(0);
    let mut days = vec![DayBalance { date: begin, balance: carried }];
    days.extend(shown.into_iter().map(|total| DayBalance { date: total.date, balance: day(total) }));
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(date: &str, money_in: i64, money_out: i64) -> DailyTotal {
        DailyTotal { date: date.parse().unwrap(), money_in, money_out }
    }

    fn days(totals: &[DailyTotal]) -> Vec<(String, i64)> {
        let today = Date::new(2026, 11, 22).unwrap();
        day_balances(totals, today).into_iter().map(|day| (day.date.to_string(), day.balance)).collect()
    }

    #[test]
    fn the_chart_begins_with_the_balance_before_it() {
        let totals = [total("2025-01-01", 100, 0), total("2026-08-24", 0, 30), total("2026-08-25", 5, 0)];
        assert_eq!(days(&totals), [("2026-08-24".to_owned(), 70), ("2026-08-25".to_owned(), 75)]);
        assert_eq!(days(&[]), [("2026-08-24".to_owned(), 0)]);
    }

    #[test]
    fn more_than_64_bits_by_date_stays_at_their_end() {
        let totals = [total("2026-11-20", i64::MAX, 0), total("2026-11-21", 9, 0), total("2026-11-22", 0, i64::MAX)];
        let balances: Vec<i64> = days(&totals).into_iter().map(|(_, balance)| balance).collect();
        assert_eq!(balances, [0, i64::MAX, i64::MAX, 9]);
    }
}
