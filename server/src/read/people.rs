//! Who people are, as the bus says: latest wins, and whoever is forgotten is gone. In no log and in no dump.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    columns::json_array,
    database::ReadDb,
    sql::{Sql, Tx},
};
use crate::bus::{Bus, Person, PersonChange};

const PATIENCE: Duration = Duration::from_secs(1);
/// A subscription is not kept for longer: one to a topic that was deleted and made again may hear nothing, and not say so.
const ANEW: Duration = Duration::from_mins(1);

/// Follows the bus until it is cancelled.
pub async fn run(db: &ReadDb, bus: &dyn Bus, cancelled: CancellationToken) {
    let work = async {
        loop {
            if let Err(error) = follow(db, bus).await {
                tracing::warn!(%error, "no news of people");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    };
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = work => {}
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Follows one subscription, for a while.
async fn follow(db: &ReadDb, bus: &dyn Bus) -> Result<(), Failure> {
    let mut people = bus.people().await?;
    // A subscription begins with all who are known: whoever is not among them was forgotten while nobody listened.
    let known = people.next().await?;
    let mut tx = db.wipe().await?;
    let ids: BTreeSet<_> = known
        .iter()
        .filter_map(|change| match change {
            PersonChange::Known(person) => Some(person.id),
            PersonChange::Forgotten(_) => None,
        })
        .collect();
    Sql::new("DELETE FROM people WHERE id NOT IN (SELECT value FROM {keys})")
        .bind(json_array(ids))
        .execute(&mut tx)
        .await?;
    apply(&mut tx, &known).await?;
    tx.commit().await?;
    let until = Instant::now() + ANEW;
    while let Ok(changes) = timeout_at(until, people.next()).await {
        let changes = changes?;
        let mut tx = db.wipe().await?;
        apply(&mut tx, &changes).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn apply(tx: &mut Tx, changes: &[PersonChange]) -> Result<(), Failure> {
    for change in changes {
        match change {
            PersonChange::Known(Person { id, name, email, roles }) => {
                Sql::new(
                    "INSERT INTO people (id, name, email, roles) VALUES (?, ?, ?, ?)
                     ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email,
                         roles = excluded.roles",
                )
                .bind(id.to_string())
                .bind(name.as_str())
                .bind(email.as_str())
                .bind(serde_json::to_string(roles)?)
                .execute(&mut *tx)
                .await?;
            }
            PersonChange::Forgotten(id) => {
                Sql::new("DELETE FROM people WHERE id = ?").bind(id.to_string()).execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}
