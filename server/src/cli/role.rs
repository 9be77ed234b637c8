//! From what `serve` was told to what the process does; combinations that promise less than they seem to are refused.

use anyhow::{Context as _, bail, ensure};
use app::wire::Hash;
use ed25519_dalek::VerifyingKey;

#[cfg(all(feature = "command", feature = "query"))]
use super::node::BusChoice;
use super::node::Role;
use crate::{
    bus::kafka::KafkaSettings,
    config::{BusUrl, DataDir, RoleName, ServeArgs},
};

/// The role, with its keys read.
pub fn choose(data: &DataDir, args: &ServeArgs) -> anyhow::Result<Role> {
    let kafka = kafka(args)?;
    Ok(match args.role {
        #[cfg(all(feature = "command", feature = "query"))]
        RoleName::All => Role::All {
            write: write(data, args)?,
            read: data.read_url(args.read_db.as_ref()),
            bus: kafka.map_or(BusChoice::InProcess, BusChoice::Kafka),
        },
        #[cfg(feature = "command")]
        RoleName::Command => Role::Command { write: write(data, args)?, bus: apart(kafka)? },
        #[cfg(feature = "query")]
        RoleName::Query => {
            ensure!(
                !args.session_public_keys.is_empty(),
                "--role query needs --session-public-keys: `daybook token public-key` prints the one of a command node"
            );
            Role::Query {
                read: data.read_url(args.read_db.as_ref()),
                bus: apart(kafka)?,
                keys: public_keys(&args.session_public_keys)?,
            }
        }
    })
}

/// Whatever belongs to a side that this process does not have is refused, not passed over.
#[cfg(all(feature = "command", feature = "query"))]
pub fn check(args: &ServeArgs) -> anyhow::Result<()> {
    let makes_topics = args.kafka_partitions.is_some() || args.kafka_replication.is_some();
    match args.role {
        RoleName::All => {
            let (write, read) = (args.write_db.as_ref(), args.read_db.as_ref());
            let same = write.is_some_and(|write| read.is_some_and(|read| write.to_string() == read.to_string()));
            ensure!(!same, "--read-db is the database of the log: the views have one of their own");
        }
        RoleName::Command => {
            ensure!(args.read_db.is_none(), "--role command has no read database: leave out --read-db");
        }
        RoleName::Query => {
            let writes = args.write_db.is_some() || args.write_db_admin.is_some();
            ensure!(!writes, "--role query never opens the write database: leave out --write-db and --write-db-admin");
            ensure!(args.session_key_file.is_none(), "--role query signs nothing: leave out --session-key-file");
            ensure!(args.queue.is_none(), "--role query takes no commands: leave out --queue");
            ensure!(
                !makes_topics,
                "--role query makes no topics: leave out --kafka-partitions and --kafka-replication"
            );
        }
    }
    ensure!(!args.demo || args.role == RoleName::All, "--demo fills an embedded ledger: it goes with --role all");
    ensure!(!args.demo || args.write_db.is_none(), "--demo fills the data folder's ledger: leave out --write-db");
    Ok(())
}

/// Those of `--session-public-keys`.
pub fn public_keys(keys: &[Hash]) -> anyhow::Result<Vec<VerifyingKey>> {
    let read = keys.iter().map(|key| {
        VerifyingKey::from_bytes(&key.0).with_context(|| {
            format!("{key} is no public key: `daybook token public-key` prints the one of a command node")
        })
    });
    read.collect()
}

/// The bus of a process that has one side only.
fn apart(kafka: Option<KafkaSettings>) -> anyhow::Result<KafkaSettings> {
    let Some(kafka) = kafka else {
        bail!("a process that has one side only meets the others on a bus: give --bus kafka://HOST:PORT/PREFIX");
    };
    Ok(kafka)
}

fn kafka(args: &ServeArgs) -> anyhow::Result<Option<KafkaSettings>> {
    let BusUrl::Kafka(settings) = &args.bus else {
        ensure!(args.kafka_config.is_empty(), "--kafka-config is for --bus kafka://…");
        #[cfg(feature = "command")]
        ensure!(
            args.kafka_partitions.is_none() && args.kafka_replication.is_none(),
            "--kafka-partitions and --kafka-replication are for --bus kafka://…"
        );
        return Ok(None);
    };
    let mut settings = settings.clone();
    for pair in &args.kafka_config {
        settings.set(pair).context("--kafka-config")?;
    }
    settings.check().context("--kafka-config")?;
    #[cfg(feature = "command")]
    {
        settings.partitions = args.kafka_partitions.unwrap_or(settings.partitions);
        settings.replication = args.kafka_replication;
    }
    Ok(Some(settings))
}

#[cfg(feature = "command")]
fn write(data: &DataDir, args: &ServeArgs) -> anyhow::Result<super::node::WriteParts> {
    use crate::write::writer::WriterSettings;
    let url = data.write_url(args.write_db.as_ref());
    let key = args.session_key_file.clone().unwrap_or_else(|| data.signing_key());
    if args.role == RoleName::Command && args.session_key_file.is_none() {
        let key = key.display();
        tracing::warn!(
            "the key that signs sessions is this node's own, {key}: another command node needs the same (--session-key-file)"
        );
    }
    let default = WriterSettings::default();
    let settings = WriterSettings { queue: args.queue.unwrap_or(default.queue), ..default };
    let others = public_keys(&args.session_public_keys)?;
    Ok(super::node::WriteParts {
        admin: args.write_db_admin.clone(),
        ..super::node::WriteParts::open(url, &key, others, settings)?
    })
}
