//! Demo data for an empty data folder: two customers and an admin, with a few months of history behind them.
//!
//! The history is played through the ordinary command side, rules, process manager and all, under a clock of its own,
//! so that it was recorded when it happened. It follows from the day alone; only ids of people and passwords differ.
//! People are marked as demo people by name and by e-mail.

mod script;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use anyhow::{Context as _, bail};
use app::{domain::Date, domain::UserId, ports::Role, wire::Position};
use tokio_util::sync::CancellationToken;

use self::script::{Scene, Who, script};
use super::{node::people_pool, user::made_up};
use crate::{
    config::DataDir,
    write::{
        handler::{Handler, Sender},
        identity::{NewPerson, Passwords, People},
        keys::SigningKeys,
        process_manager::{ProcessManager, ProcessStatus},
        store::{EventStore, Head, SqliteStore},
        writer::{Clock, SystemClock, Writer, WriterSettings},
    },
};

const MICROS_A_DAY: i64 = 86_400_000_000;
const MICROS_A_MINUTE: i64 = 60_000_000;

/// Someone who can sign in to the demo.
#[derive(Debug, Clone)]
pub struct DemoPerson {
    pub email: &'static str,
    pub name: &'static str,
    pub role: Role,
    /// Nowhere else to be found.
    pub password: String,
}

/// Fills the data folder, which must be empty, and prints who can sign in.
pub async fn run(data: &DataDir) -> anyhow::Result<ExitCode> {
    let Some(_lock) = data.lock().context("locking the data folder")? else {
        bail!("a server uses {data}");
    };
    match fill(data).await? {
        Some(people) => print(&people),
        None => bail!("{data} is not empty: demo data goes into an empty data folder only"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Says on stdout who can sign in.
pub fn print(people: &[DemoPerson]) {
    say!("Demo data. These can sign in; the passwords are shown only now:");
    for DemoPerson { email, name, password, role } in people {
        let role = match role {
            Role::Customer => "customer",
            Role::Admin => "admin",
        };
        say!("  {email:<22} {password}  {role}, {name}");
    }
}

/// Fills the data folder with demo data; `None`, and nothing done, if it holds anything already. Whoever calls holds
/// the folder's lock.
pub async fn fill(data: &DataDir) -> anyhow::Result<Option<Vec<DemoPerson>>> {
    let store = Arc::new(SqliteStore::open(&data.write_db()).await.context("opening the log")?);
    let pool = people_pool(data).await.context("opening the table of people")?;
    let people = People::new(pool.clone());
    let empty = store.head().await? == Head::EMPTY && people.list().await?.is_empty();
    if empty {
        // A log without its key would look like one whose key was lost.
        SigningKeys::load_or_create(&data.signing_key())?;
    }
    let filled = if empty { Some(fill_empty(store.clone(), &people).await?) } else { None };
    pool.close().await;
    store.close().await?;
    Ok(filled)
}

async fn fill_empty(store: Arc<SqliteStore>, people: &People) -> anyhow::Result<Vec<DemoPerson>> {
    let passwords = Passwords::new()?;
    let now = SystemClock.now_micros();
    let mut cast = Cast::default();
    let mut made = Vec::new();
    for (who, email, name, role) in [
        (Who::Marie, "marie@demo.example", "Marie Nováková (demo)", Role::Customer),
        (Who::Tomas, "tomas@demo.example", "Tomáš Dvořák (demo)", Role::Customer),
        (Who::Admin, "admin@demo.example", "Adéla Správná (demo)", Role::Admin),
    ] {
        let password = made_up()?;
        let roles = if role == Role::Admin { vec![Role::Customer, Role::Admin] } else { vec![role] };
        let hashed = passwords.hash(&password).await?;
        let id = people
            .add(NewPerson { email: email.to_owned(), name: name.to_owned(), roles, password: hashed }, now)
            .await?;
        cast.set(who, id);
        made.push(DemoPerson { email, name, role, password });
    }
    play(store, &cast, Date::of_micros(now)).await?;
    Ok(made)
}

/// Who plays whom.
#[derive(Debug, Default)]
struct Cast {
    marie: Option<UserId>,
    tomas: Option<UserId>,
    admin: Option<UserId>,
}

impl Cast {
    fn set(&mut self, who: Who, id: UserId) {
        match who {
            Who::Marie => self.marie = Some(id),
            Who::Tomas => self.tomas = Some(id),
            Who::Admin => self.admin = Some(id),
        }
    }

    fn sender(&self, who: Who) -> Option<Sender> {
        match who {
            Who::Marie => self.marie.map(Sender::Customer),
            Who::Tomas => self.tomas.map(Sender::Customer),
            Who::Admin => self.admin.map(Sender::Admin),
        }
    }
}

/// A clock that shows the time of the scene.
struct StageClock(AtomicI64);

impl Clock for StageClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Plays the months before `today` into `store`, which is empty.
async fn play(store: Arc<dyn EventStore>, cast: &Cast, today: Date) -> anyhow::Result<()> {
    let clock = Arc::new(StageClock(AtomicI64::new(0)));
    let (writer, head, writing) = Writer::start(store.clone(), clock.clone(), WriterSettings::default());
    let handler = Handler::new(writer.clone(), clock.clone());
    let manager = ProcessManager::new(store.clone(), writer.clone(), head);
    let (mut status, ending) = (manager.status(), CancellationToken::new());
    let managing = tokio::spawn(manager.run(ending.clone()));

    for Scene { day, minute, who, id, command } in script(today) {
        clock.0.store(i64::from(day.days()) * MICROS_A_DAY + i64::from(minute) * MICROS_A_MINUTE, Ordering::SeqCst);
        let sender = cast.sender(who).context("the cast is complete")?;
        let name = command.name();
        let receipt = handler.handle(sender, id, command, None).await;
        let receipt = receipt.with_context(|| format!("the demo's {name} of {day}"))?;
        if name == "RequestTransfer" {
            settled(store.as_ref(), &mut status, receipt.position).await?;
        }
    }

    ending.cancel();
    managing.await.context("the process manager panicked")?;
    writer.stop().await;
    writing.await.context("the writer panicked")
}

/// Returns when every transfer that was requested up to `position` has ended.
async fn settled(
    store: &dyn EventStore,
    status: &mut tokio::sync::watch::Receiver<ProcessStatus>,
    position: Position,
) -> anyhow::Result<()> {
    loop {
        let reached = match &*status.borrow_and_update() {
            ProcessStatus::Running(reached) => *reached,
            ProcessStatus::StandingBy => Position(0),
            ProcessStatus::Parked { position, error } => bail!("a transfer stands still at {position}: {error}"),
        };
        // Everything that follows from what it has read is stored: at the end of the log, nothing is left to do.
        if reached >= position && reached == store.head().await?.position {
            return Ok(());
        }
        status.changed().await.context("the process manager is gone")?;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn cast() -> Cast {
        let user = |number| Some(UserId(uuid::Uuid::from_u128(number)));
        Cast { marie: user(1), tomas: user(2), admin: user(3) }
    }

    async fn played(today: &str) -> (Vec<String>, Head) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("write.db")).await.unwrap());
        play(store.clone(), &cast(), today.parse().unwrap()).await.unwrap();
        let events = store.read_log(Position(0), 100_000).await.unwrap();
        (events.into_iter().map(|event| event.event_type).collect(), store.head().await.unwrap())
    }

    #[tokio::test]
    async fn the_history_is_plausible_on_any_day_and_follows_from_the_day() {
        let (types, head) = played("2026-11-22").await;
        let seen: BTreeSet<&str> = types.iter().map(String::as_str).collect();
        for wanted in [
            "account.entry_reversed",
            "account.overdraft_limit_changed",
            "account.account_frozen",
            "account.hold_declined",
            "account.transfer_declined",
            "transfer.transfer_completed",
            "transfer.transfer_failed",
        ] {
            assert!(seen.contains(wanted), "no {wanted}");
        }
        assert!(types.len() > 150, "{}", types.len());
        assert_eq!(played("2026-11-22").await.1, head);
        // The ends of months and years.
        for today in ["2027-03-01", "2028-02-29", "2027-01-01", "2027-07-31"] {
            played(today).await;
        }
    }

    #[tokio::test]
    async fn only_an_empty_folder_is_filled() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let people = fill(&data).await.unwrap().unwrap();
        assert_eq!(people.len(), 3);
        assert!(fill(&data).await.unwrap().is_none());
    }
}
