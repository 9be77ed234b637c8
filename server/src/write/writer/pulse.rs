//! Whether a store answers: asked at most once a second, however many want to know.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// An answer is news for so long.
const NEWS: Duration = Duration::from_secs(1);
/// A store that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found last, and when.
#[derive(Default)]
pub struct Pulse(Mutex<Option<(Instant, bool)>>);

impl Pulse {
    /// Whether `ask` succeeds in time; it is not asked if that is known.
    pub async fn beats<T, E>(&self, ask: impl Future<Output = Result<T, E>>) -> bool {
        // Whoever comes while somebody asks waits for that answer.
        let mut last = self.0.lock().await;
        if let Some((at, beats)) = *last
            && at.elapsed() < NEWS
        {
            return beats;
        }
        let beats = matches!(timeout(PATIENCE, ask).await, Ok(Ok(_)));
        *last = Some((Instant::now(), beats));
        beats
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::pending};

    use super::*;

    #[tokio::test]
    async fn a_store_is_asked_once_a_second_at_most() {
        let (pulse, asked, since) = (Pulse::default(), Cell::new(0), Instant::now());
        for _ in 0..1_000 {
            let ask = async {
                asked.set(asked.get() + 1);
                Ok::<(), ()>(())
            };
            assert!(pulse.beats(ask).await);
        }
        assert!(asked.get() <= 1 + since.elapsed().as_secs(), "asked {} times", asked.get());
    }

    #[tokio::test]
    async fn a_store_that_refuses_or_says_nothing_does_not_answer() {
        assert!(!Pulse::default().beats(async { Err::<(), ()>(()) }).await);
        assert!(!Pulse::default().beats(pending::<Result<(), ()>>()).await);
    }
}
