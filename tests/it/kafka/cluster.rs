//! A cluster of one broker, within the test's process.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::Offset;

use portolan::sandbox::IDENTIFIER;

const BROKER: i32 = 1;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
    /// Of the group that the service joins, without joining it.
    onlooker: BaseConsumer,
}

impl Cluster {
    /// With both topics, of one partition each.
    pub(super) fn start() -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in [super::CHANGE_LOG, "org_sandbox.integration.resync.requests"] {
            mock.create_topic(topic, 1, 1).unwrap();
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", mock.bootstrap_servers());
        let producer = config.create().unwrap();
        config.set("group.id", format!("org_sandbox.portolan.{IDENTIFIER}"));
        Self {
            mock,
            producer,
            onlooker: config.create().unwrap(),
        }
    }

    pub(super) fn brokers(&self) -> String {
        self.mock.bootstrap_servers()
    }

    /// Writes a message; it is in the topic when this returns.
    pub(super) fn say(&self, topic: &str, message: &(impl ToString + ?Sized)) {
        let message = message.to_string();
        let record = BaseRecord::<(), _>::to(topic).payload(&message);
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .unwrap();
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Where the next message will be.
    pub(super) fn end_of(&self, topic: &str) -> i64 {
        let (_, end) = self.onlooker.fetch_watermarks(topic, 0, PATIENCE).unwrap();
        end
    }

    /// Where the group will go on reading.
    pub(super) fn committed(&self, topic: &str) -> i64 {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, 0);
        let told = self.onlooker.committed_offsets(asked, PATIENCE).unwrap();
        match told.elements()[0].offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        }
    }

    pub(super) fn goes_away(&self) {
        self.mock.broker_down(BROKER).unwrap();
    }

    pub(super) fn comes_back(&self) {
        self.mock.broker_up(BROKER).unwrap();
    }
}
