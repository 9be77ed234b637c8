//! The trial balance: all currencies, read at one position.

use app::wire::TrialBalance;

use super::super::{
    projections::sums,
    sql::{DbError, Sql, Tx},
};

pub(super) async fn all(tx: &mut Tx) -> Result<TrialBalance, DbError> {
    let rows = Sql::new(
        "SELECT currency, balances, in_transit, deposits, withdrawals, position FROM trial_balance ORDER BY currency",
    )
    .fetch_all(tx)
    .await?;
    let lines = rows.iter().map(|row| sums(row).map(|(currency, sums)| sums.line(currency)));
    Ok(TrialBalance { lines: lines.collect::<Result<_, _>>()? })
}
