//! The four topics: made if they are missing, and looked at closely if they are not.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::Metadata,
};

use super::settings::KafkaSettings;

/// How long brokers may take to answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

const DAY: &str = "86400000";
const HOUR: &str = "3600000";
/// Event times are the ledger's own: a broker that refuses one for its age would stop the relay for good.
const ANY_TIME: &str = "9223372036854775807";

/// Their names.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Every event, forever.
    pub events: String,
    /// Where the log ends and what is asked for again, a day.
    pub control: String,
    /// Events sent again for one node, an hour.
    pub replay: String,
    /// The latest word on each person.
    pub people: String,
}

struct Wanted<'a> {
    name: &'a str,
    partitions: i32,
    config: &'a [(&'a str, &'a str)],
}

impl Topics {
    pub fn new(prefix: &str) -> Self {
        let name = |what: &str| format!("{prefix}.{what}");
        Self { events: name("events"), control: name("control"), replay: name("replay"), people: name("people") }
    }

    fn wanted(&self, partitions: i32) -> [Wanted<'_>; 4] {
        [
            Wanted {
                name: &self.events,
                partitions,
                config: &[
                    ("cleanup.policy", "delete"),
                    ("retention.ms", "-1"),
                    ("retention.bytes", "-1"),
                    ("message.timestamp.type", "CreateTime"),
                    ("message.timestamp.before.max.ms", ANY_TIME),
                    ("message.timestamp.after.max.ms", ANY_TIME),
                ],
            },
            Wanted {
                name: &self.control,
                partitions: 1,
                config: &[("cleanup.policy", "delete"), ("retention.ms", DAY)],
            },
            Wanted {
                name: &self.replay,
                partitions: 1,
                config: &[("cleanup.policy", "delete"), ("retention.ms", HOUR)],
            },
            Wanted {
                name: &self.people,
                partitions: 1,
                // What was forgotten is to be gone from the disk soon, too.
                config: &[
                    ("cleanup.policy", "compact"),
                    ("max.compaction.lag.ms", HOUR),
                    ("delete.retention.ms", DAY),
                    ("segment.ms", HOUR),
                ],
            },
        ]
    }
}

/// Makes the topics that are missing. Returns in what those that were there promise less than asked for.
pub async fn ensure(settings: &KafkaSettings) -> Result<Vec<String>, KafkaError> {
    let topics = Topics::new(&settings.prefix);
    let admin: Arc<AdminClient<DefaultClientContext>> = Arc::new(settings.client().create()?);
    let (brokers, found) = {
        let admin = admin.clone();
        blocking(move || Ok(look(&admin.inner().fetch_metadata(None, ANSWER)?))).await?
    };
    let replication = settings.replication.unwrap_or(brokers.clamp(1, 3));
    let in_sync = if replication >= 3 { "2" } else { "1" };
    let options = AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER));
    let mut lacking = Vec::new();
    for topic in topics.wanted(settings.partitions) {
        if let Some(copies) = found.get(topic.name) {
            if *copies < replication {
                lacking.push(format!("{} has replication {copies}, not {replication}", topic.name));
            }
            lacking.extend(compare(&admin, &topic, in_sync, &options).await);
            continue;
        }
        let new = NewTopic::new(topic.name, topic.partitions, TopicReplication::Fixed(replication));
        let new = new.set("min.insync.replicas", in_sync);
        let new = topic.config.iter().fold(new, |new, (key, value)| new.set(key, value));
        for made in admin.create_topics([&new], &options).await? {
            match made {
                Ok(name) => tracing::info!(topic = name, replication, "made a topic"),
                // Another command node was sooner.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
    }
    Ok(lacking)
}

/// Looks which topics there are.
#[cfg(feature = "command")]
pub struct Look {
    admin: Arc<AdminClient<DefaultClientContext>>,
    topics: Topics,
}

#[cfg(feature = "command")]
impl Look {
    pub fn new(settings: &KafkaSettings) -> Result<Self, KafkaError> {
        Ok(Self { admin: Arc::new(settings.client().create()?), topics: Topics::new(&settings.prefix) })
    }

    pub async fn all_there(&self) -> Result<bool, KafkaError> {
        let admin = self.admin.clone();
        let (_, found) = blocking(move || Ok(look(&admin.inner().fetch_metadata(None, ANSWER)?))).await?;
        Ok(self.topics.wanted(1).iter().all(|wanted| found.contains_key(wanted.name)))
    }
}

/// How many brokers there are, and how many copies each topic has of what it has fewest of.
fn look(metadata: &Metadata) -> (i32, HashMap<String, i32>) {
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
    let copies = topics.map(|topic| {
        let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
        (topic.name().to_owned(), number(copies.unwrap_or(0)))
    });
    (number(metadata.brokers().len()), copies.collect())
}

/// What the settings of a topic promise less.
async fn compare(
    admin: &AdminClient<DefaultClientContext>,
    topic: &Wanted<'_>,
    in_sync: &str,
    options: &AdminOptions,
) -> Vec<String> {
    let mut described = match admin.describe_configs(&[ResourceSpecifier::Topic(topic.name)], options).await {
        Ok(described) => described,
        Err(error) => return vec![format!("the settings of {} are not to be seen: {error}", topic.name)],
    };
    let found = match described.pop() {
        Some(Ok(found)) => found,
        Some(Err(code)) => return vec![format!("the settings of {} are not to be seen: {code}", topic.name)],
        None => return vec![format!("the settings of {} are not to be seen", topic.name)],
    };
    let mut lacking = Vec::new();
    for (key, wanted) in topic.config.iter().chain(&[("min.insync.replicas", in_sync)]) {
        let found = found.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
        if !promises(&found, wanted, topic.name.ends_with(".people") && *key != "min.insync.replicas") {
            lacking.push(format!("{} has {key} {found}, not {wanted}", topic.name));
        }
    }
    lacking
}

/// Whether `found` is as good as `wanted`. `less`: the smaller number is the better one, as for how soon someone is
/// forgotten.
fn promises(found: &str, wanted: &str, less: bool) -> bool {
    let number = |text: &str| text.parse::<i64>().map(|number| if number < 0 { i64::MAX } else { number });
    match (number(found), number(wanted)) {
        (Ok(found), Ok(wanted)) if less => found <= wanted,
        (Ok(found), Ok(wanted)) => found >= wanted,
        _ => found == wanted,
    }
}

/// Runs what librdkafka only offers as a call that waits.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(call).await.unwrap_or(Err(KafkaError::Canceled))
}
