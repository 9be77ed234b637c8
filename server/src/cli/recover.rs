//! `daybook recover`: after an older backup was restored, what came behind it is taken in from the topics.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use app::wire::{Hash, Position};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    role::public_keys,
    verify::{progress_bar, shown_on},
};
use crate::{
    bus::{
        head::HeadKeys,
        kafka::{KafkaBus, KafkaSettings, said_far_back},
    },
    config::{BusUrl, DataDir},
    db_url::DbUrl,
    write::{
        database::WriteDb,
        keys::SigningKeys,
        recover::{Recovered, recover},
        relay_lease::RelayLease,
        store::Head,
    },
};

#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// Where the log was published: kafka://HOST:PORT,…/TOPIC-PREFIX
    #[arg(long, env = "DAYBOOK_BUS", value_name = "BUS")]
    pub bus: BusUrl,
    /// A setting of librdkafka, KEY=VALUE; the value may be file:PATH or env:NAME. May be given more than once
    #[arg(long, env = "DAYBOOK_KAFKA_CONFIG", hide_env_values = true, value_delimiter = ';', value_name = "KEY=VALUE")]
    pub kafka_config: Vec<String>,
    /// The write database, sqlite:PATH or postgres://…; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
    /// The key that signs sessions, and what is published; the data folder's if absent
    #[arg(long, env = "DAYBOOK_SESSION_KEY_FILE", value_name = "FILE")]
    pub session_key_file: Option<std::path::PathBuf>,
    /// Public keys that have signed what was published later, after another one took over from this key
    #[arg(long, env = "DAYBOOK_SESSION_PUBLIC_KEYS", value_delimiter = ',', value_name = "KEY")]
    pub session_public_keys: Vec<Hash>,
}

/// Takes in what is missing, or says why it cannot.
pub async fn run(data: &DataDir, args: RecoverArgs) -> anyhow::Result<ExitCode> {
    let Some(_lock) = data.lock().with_context(|| format!("locking the data folder {data}"))? else {
        bail!("a server uses {data}: recover with it stopped");
    };
    let BusUrl::Kafka(mut settings) = args.bus else {
        bail!("in one process nothing is published that could be taken in: give --bus kafka://HOST:PORT/PREFIX")
    };
    for pair in &args.kafka_config {
        settings.set(pair).context("--kafka-config")?;
    }
    let file = args.session_key_file.unwrap_or_else(|| data.signing_key());
    let keys = SigningKeys::load(&file)?.with_context(|| format!("there is no signing key in {}", file.display()))?;
    let url = data.write_url(args.write_db.as_ref());
    let keys = HeadKeys::new(keys.public().iter().chain(public_keys(&args.session_public_keys)?));
    let db = WriteDb::open(&url, None).await.with_context(|| format!("opening {url}"))?;
    let taken = from_topics(&db, settings, &keys).await;
    db.close().await?;
    let Taken { recovered: Recovered { events, short }, head, beyond } = taken?;
    say!("{events} events were taken in from the topics; the log is at position {}, hash {}", head.position, head.hash);
    if let Some(error) = short {
        bail!(
            "the log was longer: the command side signed its end further on, but {error}. No command node starts beside these \
             topics. Try again if brokers are away; or begin with topics of another prefix and empty read databases, and give \
             up what came after position {}",
            head.position
        );
    }
    if let Some(beyond) = beyond {
        bail!(
            "the topics hold events up to position {beyond}, and no head of the log that a known key signed goes beyond {}: \
             the rest was not taken in, and no command node starts beside it. If another key signed later, give it \
             (--session-public-keys); or begin with topics of another prefix and empty read databases",
            head.position
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What the topics gave.
struct Taken {
    recovered: Recovered,
    head: Head,
    /// Where what they have ends, if that is further.
    beyond: Option<Position>,
}

async fn from_topics(db: &WriteDb, settings: KafkaSettings, keys: &HeadKeys) -> anyhow::Result<Taken> {
    let said = said_far_back(&settings, keys).await?;
    if said.heads.is_empty() {
        bail!(
            "the topics {}.* have no head of the log that this ledger's key signed (they keep them for a day): whether what \
             they hold is this log cannot be told. Begin with topics of another prefix and empty read databases",
            settings.prefix
        );
    }
    let (listening, topics) = (CancellationToken::new(), settings.prefix.clone());
    let _ends = listening.clone().drop_guard();
    let bus = KafkaBus::start(settings, keys.clone(), listening)?;
    let bar = progress_bar("events");
    let recovered = recover(&*db.store, &*bus, &said.heads, shown_on(&bar)).await;
    bar.finish_and_clear();
    let (recovered, head) = (recovered?, db.store.head().await?);
    // Where nothing was missing, what is here need not have been published yet.
    if recovered.events > 0 {
        RelayLease::new(db.store.clone(), &topics).go_on_after(head.position).await?;
    }
    let beyond = said.events.iter().map(|event| event.position).max().filter(|end| *end > head.position);
    Ok(Taken { recovered, head, beyond })
}
