//! Where reading goes on, found by time: nothing of it is stored anywhere.

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaResult,
};

use super::{reader::Quiet, topics::ANSWER};

/// Where each partition goes on for whoever has all events up to one that was recorded at `recorded_at`.
///
/// Times grow with positions, and each partition has the first copies of its events in order of position. So what is
/// missing begins at or behind the first message that is not older. Waits, as librdkafka does.
pub fn where_to_go_on(
    consumer: &StreamConsumer<Quiet>,
    topic: &str,
    partitions: i32,
    recorded_at: i64,
) -> KafkaResult<Vec<(i32, Offset)>> {
    if recorded_at <= 0 {
        return Ok((0..partitions).map(|partition| (partition, Offset::Beginning)).collect());
    }
    let mut wanted = TopicPartitionList::new();
    let mut ends = Vec::new();
    for partition in 0..partitions {
        // Before the question, so that nothing which comes after it can be missed.
        ends.push(consumer.fetch_watermarks(topic, partition, ANSWER)?.1);
        wanted.add_partition_offset(topic, partition, Offset::Offset(recorded_at / 1000))?;
    }
    let found = consumer.offsets_for_times(wanted, ANSWER)?;
    let mut places = Vec::new();
    for (partition, end) in (0..partitions).zip(ends) {
        let element = found.find_partition(topic, partition);
        let offset = match element.map(|element| (element.error(), element.offset())) {
            Some((Ok(()), Offset::Offset(offset))) => offset,
            Some((Ok(()), _)) | None => end,
            Some((Err(error), _)) => return Err(error),
        };
        places.push((partition, Offset::Offset(offset)));
    }
    Ok(places)
}
