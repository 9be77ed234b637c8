//! Where the brokers are and how to talk to them: `kafka://host:port,…/topic-prefix` and `key=value` pairs.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use rdkafka::{ClientConfig, consumer::BaseConsumer, error::KafkaError};

/// How to reach the bus.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// What the names of the topics begin with.
    pub prefix: String,
    /// Passed on to librdkafka as they are.
    config: BTreeMap<String, String>,
    /// Partitions of the events, where the topic has to be made.
    pub partitions: i32,
    /// Copies of each topic that has to be made; `None`: three, or as many as there are brokers.
    pub replication: Option<i32>,
    /// A position that has not come for this long is asked for again.
    pub hole_age: Duration,
    /// How often the topic is looked at for new partitions.
    pub look_for_partitions: Duration,
    /// Events of one partition that wait for those of others before the partition is paused.
    pub ahead: usize,
}

/// Why a setting is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("'{0}' does not begin with kafka://")]
    NotKafka(String),
    #[error("kafka:// is followed by the brokers, as in kafka://host:9092,other:9092/daybook")]
    NoBroker,
    #[error("'{0}' is no host:port, or more than that was given")]
    NotAnAddress(String),
    #[error("topics cannot begin with '{0}': up to 200 of a-z, A-Z, 0-9, '.', '_' and '-'")]
    NotAPrefix(String),
    /// Its text is not said: it may be part of a secret.
    #[error("not of the form key=value; a value with a ';' in it is given as file:PATH or env:NAME")]
    NotAPair,
    #[error("{0} is Daybook's own to set: what it promises rests on it")]
    Ours(String),
    #[error("{key}: this daybook speaks no TLS to Kafka (build it with --features kafka-tls)")]
    NoTls { key: String },
    #[error("{0}")]
    Refused(String),
    #[error("the value of {key} is to come from {from}: {why}")]
    Unreadable { key: String, from: String, why: String },
}

/// What the promises of the bus rest on.
const OURS: [&str; 18] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "partitioner",
    "request.required.acks",
    "transactional.id",
];

/// What librdkafka can only do with OpenSSL; of the passwords, all but plain ones.
fn needs_tls(key: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    match key {
        "security.protocol" => value.ends_with("ssl"),
        "sasl.mechanism" | "sasl.mechanisms" => value != "plain",
        _ => key.starts_with("ssl."),
    }
}

impl FromStr for KafkaSettings {
    type Err = SettingsError;

    fn from_str(url: &str) -> Result<Self, SettingsError> {
        let rest = url.strip_prefix("kafka://").ok_or_else(|| SettingsError::NotKafka(url.to_owned()))?;
        let (brokers, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if brokers.is_empty() {
            return Err(SettingsError::NoBroker);
        }
        for address in brokers.split(',') {
            let sound = address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains(['@', '/', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0)
            });
            if !sound {
                // Without what stands before it: a password, maybe.
                let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
                return Err(SettingsError::NotAnAddress(address.to_owned()));
            }
        }
        let prefix = if prefix.is_empty() { "daybook" } else { prefix };
        let sound = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if prefix.len() > 200 || !prefix.chars().all(sound) {
            return Err(SettingsError::NotAPrefix(prefix.to_owned()));
        }
        Ok(Self {
            brokers: brokers.to_owned(),
            prefix: prefix.to_owned(),
            config: BTreeMap::new(),
            partitions: 4,
            replication: None,
            hole_age: Duration::from_secs(5),
            look_for_partitions: Duration::from_secs(5),
            ahead: 8192,
        })
    }
}

impl KafkaSettings {
    /// Takes in `key=value`. A value `file:PATH` or `env:NAME` is read from there, so that secrets need not stand on a
    /// command line.
    pub fn set(&mut self, pair: &str) -> Result<(), SettingsError> {
        let (key, value) = pair.split_once('=').ok_or(SettingsError::NotAPair)?;
        let key = key.trim();
        if key.is_empty() {
            return Err(SettingsError::NotAPair);
        }
        if OURS.contains(&key) {
            return Err(SettingsError::Ours(key.to_owned()));
        }
        let unreadable = |why: &dyn fmt::Display| SettingsError::Unreadable {
            key: key.to_owned(),
            from: value.to_owned(),
            why: why.to_string(),
        };
        let value = if let Some(path) = value.strip_prefix("file:") {
            std::fs::read_to_string(path).map_err(|error| unreadable(&error))?.trim_end().to_owned()
        } else if let Some(name) = value.strip_prefix("env:") {
            // The error would say the whole value, where that is not UTF-8.
            let found = std::env::var_os(name).ok_or_else(|| unreadable(&"it is not set"))?;
            found.into_string().map_err(|_| unreadable(&"it is not UTF-8"))?
        } else {
            value.to_owned()
        };
        if !cfg!(feature = "kafka-tls") && needs_tls(key, &value) {
            return Err(SettingsError::NoTls { key: key.to_owned() });
        }
        self.config.insert(key.to_owned(), value);
        Ok(())
    }

    /// Makes a client, which talks to nobody yet, and lets it go again.
    pub fn check(&self) -> Result<(), SettingsError> {
        let client: Result<BaseConsumer, _> = self.consumer().create();
        client.map(drop).map_err(|error| match error {
            // Without the value, which may be a secret.
            KafkaError::ClientConfig(_, why, key, _) => SettingsError::Refused(format!("{key}: {why}")),
            error => SettingsError::Refused(error.to_string()),
        })
    }

    /// What every client begins with.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "daybook")
            // The relay makes them, with what they promise.
            .set("allow.auto.create.topics", "false")
            // A node that waits for its brokers is to notice soon that they are back.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set("topic.metadata.refresh.interval.ms", self.look_for_partitions.as_millis().to_string())
            .set("log.connection.close", "false");
        for (key, value) in &self.config {
            config.set(key, value);
        }
        config
    }

    /// What every consumer begins with: it has no group, it says itself what it reads.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", "daybook-none")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest");
        usually(&mut config, "queued.max.messages.kbytes", "16384");
        usually(&mut config, "fetch.wait.max.ms", "100");
        config
    }
}

/// Unless `--kafka-config` says otherwise.
pub(super) fn usually(config: &mut ClientConfig, key: &str, value: &str) {
    if config.get(key).is_none() {
        config.set(key, value);
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the values, among which are secrets.
        let keys: Vec<_> = self.config.keys().collect();
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("prefix", &self.prefix)
            .field("config", &keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_brokers_and_prefix() {
        let settings: KafkaSettings = "kafka://a:9092,b.example.org:19092/books-2".parse().unwrap();
        assert_eq!((settings.brokers.as_str(), settings.prefix.as_str()), ("a:9092,b.example.org:19092", "books-2"));
        let short: KafkaSettings = "kafka://[::1]:9092".parse().unwrap();
        assert_eq!((short.brokers.as_str(), short.prefix.as_str()), ("[::1]:9092", "daybook"));
    }

    #[test]
    fn what_no_client_can_be_made_with_is_refused_with_the_reason() {
        let settings: KafkaSettings = "kafka://a:1".parse().unwrap();
        assert_eq!(settings.check(), Ok(()));
        for (pair, why) in [("nonsense=1", "nonsense"), ("security.protocol=sasl_plaintext", "SASL")] {
            let mut settings = settings.clone();
            settings.set(pair).unwrap();
            let refused = settings.check().unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let mut settings = settings.clone();
        settings.set("sasl.pasword=secret").unwrap();
        let refused = settings.check().unwrap_err().to_string();
        assert!(refused.contains("sasl.pasword") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        let refused = |url: &str| url.parse::<KafkaSettings>().unwrap_err();
        assert_eq!(refused("http://a:1"), SettingsError::NotKafka("http://a:1".into()));
        assert_eq!(refused("kafka:///x"), SettingsError::NoBroker);
        assert_eq!(refused("kafka://a"), SettingsError::NotAnAddress("a".into()));
        assert_eq!(refused("kafka://a:1,:2"), SettingsError::NotAnAddress(":2".into()));
        assert_eq!(refused("kafka://a:70000"), SettingsError::NotAnAddress("a:70000".into()));
        assert_eq!(refused("kafka://me:secret@a:1"), SettingsError::NotAnAddress("a:1".into()));
        assert_eq!(refused("kafka://a:1/b/c"), SettingsError::NotAPrefix("b/c".into()));
    }

    #[test]
    fn pairs_pass_through_but_for_what_the_promises_rest_on() {
        let mut settings: KafkaSettings = "kafka://a:1".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "a=b,c\n").unwrap();
        settings.set("security.protocol=sasl_plaintext").unwrap();
        settings.set(&format!("sasl.password=file:{}", file.display())).unwrap();
        assert_eq!(settings.client().get("security.protocol"), Some("sasl_plaintext"));
        assert_eq!(settings.client().get("sasl.password"), Some("a=b,c"));
        assert!(!format!("{settings:?}").contains("a=b,c"));
        for tls in ["security.protocol=SASL_SSL", "ssl.ca.location=/ca.pem", "sasl.mechanism=SCRAM-SHA-256"] {
            let refused = matches!(settings.set(tls), Err(SettingsError::NoTls { .. }));
            assert_eq!(refused, !cfg!(feature = "kafka-tls"), "{tls}");
        }
        assert_eq!(settings.set("acks=1"), Err(SettingsError::Ours("acks".into())));
        assert_eq!(settings.set("acks"), Err(SettingsError::NotAPair));
        assert!(matches!(settings.set("sasl.password=file:/none"), Err(SettingsError::Unreadable { .. })));
        assert!(matches!(settings.set("sasl.password=env:DAYBOOK_NO_SUCH"), Err(SettingsError::Unreadable { .. })));
    }
}
