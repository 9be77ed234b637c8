//! B1 on a broker that misbehaves on demand: errors, time-outs, answers that are lost after the messages were stored.

use std::time::Duration;

use app::wire::Position;
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use super::{
    history::{History, Log, Place},
    parts::{MemoryLease, Reading, settings_at, start_relay, topics, until},
};
use crate::services::topic::{all_messages, assert_first_copies_in_stream_order};

/// An answer that has not come after this time is not waited for.
const LOST: Duration = Duration::from_secs(2);
/// How long answers are held back where they are to be lost: long enough that the machine may be busy meanwhile.
const HELD_BACK: Duration = Duration::from_secs(5 * LOST.as_secs());

/// B1: each trouble while events are published and read.
pub async fn misbehaves() -> (u64, String) {
    use RDKafkaRespErr as Error;
    let mock = MockCluster::new(3).unwrap();
    let brokers = mock.bootstrap_servers();
    let mut settings = settings_at(&brokers);
    settings.set("retry.backoff.ms=20").unwrap();
    settings.set("request.timeout.ms=1500").unwrap();
    // This mock does not look at sequence numbers. What is behind a request that failed would stay, where a real broker
    // refuses it: so all that is sent to a partition goes out in one.
    settings.set("linger.ms=500").unwrap();
    settings.set(&format!("socket.timeout.ms={}", LOST.as_millis())).unwrap();
    let names = topics(&settings);
    for (name, partitions) in [(&names.events, 3), (&names.control, 1), (&names.replay, 1), (&names.people, 1)] {
        mock.create_topic(name, partitions, 3).unwrap();
    }
    let history = History::random(81, 2200);
    let log = Log::new(history.events[..200].to_vec());
    let lease = MemoryLease::new();
    let relay = start_relay(&settings, &log, &lease);
    let place = Place::new();
    let reading = Reading::start(&place, &settings).await;
    reading.has(&history.events[..200]).await;
    let (produce, fetch) = (RDKafkaApiKey::Produce, RDKafkaApiKey::Fetch);
    let troubles: [(RDKafkaApiKey, &[Error]); 10] = [
        (produce, &[Error::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT]),
        // Nothing is refused: the answers are lost.
        (produce, &[]),
        // The connection is cut.
        (produce, &[Error::RD_KAFKA_RESP_ERR__TRANSPORT, Error::RD_KAFKA_RESP_ERR__TRANSPORT]),
        // Said to be stored, but not by enough: sent again with the same sequence number.
        (produce, &[Error::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND]),
        // Nothing that a new try would heal: the producer is discarded.
        (produce, &[Error::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]),
        (produce, &[Error::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]),
        // A reader's side: it asks again, elsewhere perhaps.
        (fetch, &[Error::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, Error::RD_KAFKA_RESP_ERR__TRANSPORT]),
        (fetch, &[Error::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]),
        (fetch, &[Error::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]),
        (fetch, &[Error::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR]),
    ];
    for ((request, trouble), end) in troubles.iter().zip((400_usize..).step_by(200)) {
        mock.request_errors(*request, trouble);
        let lost = trouble.is_empty();
        // Not otherwise: what is to trouble the reader of the feed would trouble this one.
        let stored = || if lost { all_messages(&brokers, &names.events).len() } else { 0 };
        let before = stored();
        if lost {
            // What is sent from now on is stored, and the answers come after nobody waits for them any more: it is sent
            // again. This mock stores it again then, as a real broker would not.
            (1..=3).for_each(|broker| mock.broker_round_trip_time(broker, HELD_BACK).unwrap());
        }
        log.set(history.events[..end].to_vec());
        if lost {
            let mut status = relay.status.clone();
            let all = status.wait_for(|status| status.published == Position(end as u64));
            assert!(tokio::time::timeout(HELD_BACK, all).await.is_err(), "an answer came");
            (1..=3).for_each(|broker| mock.broker_round_trip_time(broker, Duration::ZERO).unwrap());
        }
        reading.has(&history.events[..end]).await;
        relay.published(Position(end as u64)).await;
        let copies = stored() - before;
        assert!(!lost || copies > 200, "{copies} messages of 200 events: no answer was lost");
    }
    until("the checkpoint", || lease.at() == history.head()).await;
    reading.stop().await;
    relay.stop().await;
    let messages = all_messages(&brokers, &names.events);
    assert_first_copies_in_stream_order(&messages, history.events.len());
    let read = format!("{} events in {} messages: each read once and in order", history.events.len(), messages.len());
    (troubles.len() as u64, read)
}
