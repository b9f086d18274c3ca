//! One membership in the group: from joining it to leaving it.
//!
//! Everything that librdkafka reports comes out of `poll`, on this thread: a
//! callback only notes what happened, and the loop decides what to make of it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientContext, TopicPartitionList};

use super::config::Access;
use super::{Failure, Listener};
use crate::sync::Trigger;
use crate::telemetry::metrics::{self, KafkaMessage};

/// A poll waits no longer, whatever the settings say: stopping waits for it.
const LONGEST_POLL: Duration = Duration::from_secs(1);
/// Nor shorter, or an idle topic would keep a processor busy.
const SHORTEST_POLL: Duration = Duration::from_millis(50);
/// What has been read is committed this often. The change log of a large
/// organization has thousands of messages that concern others, and a round trip for
/// each would leave a request waiting behind them.
const COMMITTING: Duration = Duration::from_secs(1);
/// How long a broker may take to say that it is back.
const ANSWERING: Duration = Duration::from_secs(1);

type Client = BaseConsumer<Callbacks>;

impl<S: Fn()> Listener<S> {
    pub(super) fn follow(&mut self, access: &Access) -> Result<(), Failure> {
        let topic = access.topic.name(&access.organization);
        let config = self.kafka.client_config(access)?;
        let client: Client = config
            .create_with_context(Callbacks::default())
            .map_err(Failure::Client)?;
        client.subscribe(&[&topic]).map_err(Failure::Client)?;
        let mut session = Session {
            client: &client,
            topic: &topic,
            uncommitted: None,
            last_words: String::new(),
        };
        let ended = self.read(access, &mut session);
        session.commit();
        // Dropping the client leaves the group, after what is being committed.
        ended
    }

    fn read(&mut self, access: &Access, session: &mut Session<'_>) -> Result<(), Failure> {
        let wait = self.kafka.settings.consumer_poll_timeout;
        let wait = wait.clamp(SHORTEST_POLL, LONGEST_POLL);
        while !self.stop.is_cancelled() {
            let is_idle = match session.client.poll(wait) {
                // Nobody takes what is asked for any more; it is heard again next time.
                Some(_) if self.stop.is_cancelled() => break,
                Some(Ok(message)) => {
                    self.standing.works();
                    self.hear(access, session, &message);
                    false
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let reason = code.to_string();
                    return Err(Failure::Broken { reason });
                }
                // What it was has been noted.
                Some(Err(_)) => false,
                None => true,
            };
            for event in session.client.context().take() {
                self.take_in(session, event)?;
            }
            let is_due = |since: Instant| is_idle || since.elapsed() >= COMMITTING;
            if session.uncommitted.is_some_and(is_due) {
                session.commit();
            }
            // Only after what was reported before: an old failure would pass for a
            // new one.
            if is_idle && self.standing.is_unreachable() && session.is_answered() {
                self.standing.works();
            }
        }
        Ok(())
    }

    fn hear(&self, access: &Access, session: &mut Session<'_>, message: &BorrowedMessage<'_>) {
        let identifier = &self.kafka.integration.identifier;
        let result = access.topic.read(message.payload(), identifier);
        metrics::kafka_message(result);
        let (partition, offset) = (message.partition(), message.offset());
        tracing::debug!(
            partition,
            offset,
            ?result,
            "A message from Port's Kafka: {result:?}"
        );
        if result == KafkaMessage::Accepted {
            self.requests.request(Trigger::Port);
        }
        session.handed_on(message);
        if result == KafkaMessage::Accepted {
            session.commit();
        }
    }

    fn take_in(&mut self, session: &mut Session<'_>, event: Event) -> Result<(), Failure> {
        match event {
            Event::Assigned => {
                let assigned = session.client.assignment();
                let partitions = assigned.map_or(0, |partitions| partitions.count());
                self.standing.joined(session.topic, partitions);
            }
            Event::NotCommitted(error) => {
                tracing::debug!("Could not commit to Port's Kafka, and will again: {error}");
                session.uncommitted.get_or_insert_with(Instant::now);
            }
            Event::Failed(code, reason) => return self.take_amiss(session, code, reason),
        }
        Ok(())
    }

    /// Most errors librdkafka mends itself; some have to be said.
    fn take_amiss(
        &mut self,
        session: &mut Session<'_>,
        code: RDKafkaErrorCode,
        reason: String,
    ) -> Result<(), Failure> {
        use RDKafkaErrorCode as Code;

        tracing::debug!("Port's Kafka: {code}: {reason}");
        match code {
            // Of one broker; with the others it goes on.
            Code::BrokerTransportFailure | Code::Resolve | Code::SSL => {
                session.last_words = reason;
            }
            Code::AllBrokersDown => {
                let last_words = std::mem::take(&mut session.last_words);
                let reason = if last_words.is_empty() {
                    reason
                } else {
                    last_words
                };
                self.standing.failed(&Failure::Unreachable { reason });
            }
            // Port may have given out others meanwhile.
            Code::Authentication | Code::SaslAuthenticationFailed => {
                return Err(Failure::Refused { reason });
            }
            // Of a group that is being formed anew, and of a reader that was away.
            Code::RebalanceInProgress
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::NotCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::PollExceeded
            | Code::AutoOffsetReset => {}
            _ => self.standing.failed(&Failure::Broken { reason }),
        }
        Ok(())
    }
}

/// What a membership has come to.
struct Session<'a> {
    client: &'a Client,
    topic: &'a str,
    /// Since when something has been read and not committed.
    uncommitted: Option<Instant>,
    /// Why the last connection failed.
    last_words: String,
}

impl Session<'_> {
    /// The message needs no reading again.
    fn handed_on(&mut self, message: &BorrowedMessage<'_>) {
        // Fails for a partition that another member has been given meanwhile,
        // who reads it again.
        match self.client.store_offset_from_message(message) {
            Ok(()) => {
                self.uncommitted.get_or_insert_with(Instant::now);
            }
            Err(error) => tracing::debug!("Not to be committed by this process: {error}"),
        }
    }

    /// Does not wait for the answer; see [`Event::NotCommitted`].
    fn commit(&mut self) {
        if self.uncommitted.take().is_some()
            && let Err(error) = self.client.commit_consumer_state(CommitMode::Async)
        {
            tracing::debug!("Could not commit to Port's Kafka: {error}");
        }
    }

    fn is_answered(&self) -> bool {
        self.client
            .fetch_metadata(Some(self.topic), ANSWERING)
            .is_ok()
    }
}

/// What librdkafka reports.
#[derive(Debug)]
enum Event {
    /// The group has shared the partitions out.
    Assigned,
    NotCommitted(KafkaError),
    Failed(RDKafkaErrorCode, String),
}

/// Notes what is reported until the loop comes round.
#[derive(Debug, Default)]
struct Callbacks(Mutex<Vec<Event>>);

impl Callbacks {
    fn note(&self, event: Event) {
        // A vector is whole after every change.
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }

    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Callbacks {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters of it is reported as an event as well.
        tracing::debug!("librdkafka: {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.note(Event::Failed(code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Callbacks {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.note(Event::Assigned);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            self.note(Event::NotCommitted(error));
        }
    }
}
