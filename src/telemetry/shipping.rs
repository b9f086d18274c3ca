//! Log lines on their way to Port, where people read them beside the data.
//!
//! Lines are taken from the moment logging is set up, long before Port can be
//! reached, and wait in a buffer; [`Shipper::run`] sends them. The buffer is
//! bounded: when it is full the oldest lines go, and how many is said. Ocean
//! sends after 1,024 bytes, which is a request every few lines; here it takes
//! 100 lines or [`REQUEST_BYTES`], or five seconds.
//!
//! Nothing that is logged on account of shipping may be shipped, or each
//! failure would be the cause of the next. So what is logged inside of a span
//! with the field `local` stays here, and so do the lines of the libraries
//! below, whose own tasks are in no span.
//!
//! Lines come from the masking layer and are masked already.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use url::Url;
use uuid::Uuid;

use super::line::{Line, level_name};
use crate::api::{ApiError, PortClient};
use crate::causes::with_hint;

/// The field of a span whose lines are not shipped.
pub(super) const LOCAL: &str = "local";

/// Lines do not wait longer than this.
const PAUSE: Duration = Duration::from_secs(5);

/// Lines in one request.
const REQUEST_LINES: usize = 100;
/// Bytes in one request; Port takes four times as much.
const REQUEST_BYTES: usize = 256 * 1024;

/// Lines that wait, at most.
const WAITING_LINES: usize = 2_000;
/// What they may hold.
const WAITING_BYTES: usize = 2 * 1024 * 1024;

/// What sending the last lines may take once the process is to end.
const GRACE: Duration = Duration::from_secs(3);

/// Takes lines and sends them to Port; cheap to clone.
#[derive(Clone)]
pub struct Shipper(Arc<Inner>);

struct Inner {
    buffer: Mutex<Buffer>,
    /// There is enough for a request.
    enough: Notify,
    /// Tells the lines of this process from those of the one before it.
    instance: Uuid,
    hostname: Option<String>,
}

#[derive(Default)]
struct Buffer {
    records: VecDeque<String>,
    bytes: usize,
    /// Lines that found no room, or that Port did not take.
    lost: u64,
    is_failing: bool,
    is_closed: bool,
}

impl Default for Shipper {
    fn default() -> Self {
        Self(Arc::new(Inner {
            buffer: Mutex::default(),
            enough: Notify::new(),
            instance: Uuid::new_v4(),
            hostname: hostname(),
        }))
    }
}

impl Shipper {
    /// Sends lines as they come until `stop`, then the rest of them, which
    /// takes [`GRACE`] at most.
    pub async fn run(&self, port: &PortClient, url: &Url, stop: &CancellationToken) {
        // Of the highest level, so that it is there at every log level.
        let local = tracing::error_span!("shipping", local = true);
        let late = async {
            stop.cancelled().await;
            sleep(GRACE).await;
        };
        let shipping = async {
            tokio::select! {
                () = self.send_until(port, url, stop) => {}
                () = late => tracing::warn!(
                    "The last log lines could not be sent to Port within {} s",
                    GRACE.as_secs()
                ),
            }
            self.close();
        };
        shipping.instrument(local).await;
    }

    /// Takes no more lines and forgets those that wait: nobody will send them.
    pub fn close(&self) {
        let mut buffer = self.buffer();
        *buffer = Buffer {
            is_closed: true,
            ..Buffer::default()
        };
    }

    /// Takes a line. Must not log, for it is called by what logs.
    pub(super) fn take(&self, line: &Line<'_>) {
        let record = self.record(line);
        let mut buffer = self.buffer();
        if buffer.is_closed {
            return;
        }
        buffer.bytes += record.len();
        buffer.records.push_back(record);
        buffer.shrink();
        let is_enough = buffer.records.len() >= REQUEST_LINES || buffer.bytes >= REQUEST_BYTES;
        drop(buffer);
        if is_enough {
            self.0.enough.notify_one();
        }
    }

    /// What waits, oldest first.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<Value> {
        let buffer = self.buffer();
        let records = buffer.records.iter();
        records
            .map(|record| serde_json::from_str(record).unwrap())
            .collect()
    }

    async fn send_until(&self, port: &PortClient, url: &Url, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let is_failing = self.buffer().is_failing;
            let enough = async {
                if is_failing {
                    // A Port in trouble is not asked more often.
                    std::future::pending::<()>().await;
                }
                self.0.enough.notified().await;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = enough => {}
                () = sleep(PAUSE) => {}
            }
            self.send_all(port, url).await;
        }
    }

    /// Sends what waits, until none is left or a request fails.
    async fn send_all(&self, port: &PortClient, url: &Url) {
        loop {
            let batch = self.buffer().batch();
            if batch.is_empty() {
                return;
            }
            match port.ship_logs(url, &batch).await {
                Ok(()) => self.sent(),
                Err(error) => return self.failed(batch, &error),
            }
        }
    }

    fn sent(&self) {
        let mut buffer = self.buffer();
        let was_failing = std::mem::take(&mut buffer.is_failing);
        let lost = std::mem::take(&mut buffer.lost);
        drop(buffer);
        if was_failing {
            tracing::info!(
                lost,
                "Log lines reach Port again; {lost} were lost meanwhile"
            );
        } else if lost > 0 {
            tracing::warn!(
                lost,
                "There was no room for {lost} log lines, and Port does not get them"
            );
        }
    }

    /// Keeps the lines where another time may be better; says so once. A 401 was
    /// given a new token already: kept, its lines would make a login out of every
    /// pause.
    fn failed(&self, batch: Vec<String>, error: &ApiError) {
        let may_pass = !matches!(error, ApiError::InClear { .. })
            && matches!(error.status(), None | Some(408 | 429 | 500..));
        let mut buffer = self.buffer();
        if may_pass {
            buffer.put_back(batch);
        } else {
            buffer.lost += batch.len() as u64;
        }
        let is_first = !std::mem::replace(&mut buffer.is_failing, true);
        drop(buffer);
        if is_first {
            tracing::warn!(
                "Could not send log lines to Port; the newest of them wait until that works again: {}",
                with_hint(error, error.hint())
            );
        }
    }

    fn record(&self, line: &Line<'_>) -> String {
        let mut extra = Map::new();
        for (name, value) in &line.fields {
            // Port searches its log by the kind under this name.
            let name = if name == "kind" {
                "resource_kind"
            } else {
                name
            };
            extra.insert(name.to_owned(), value.clone());
        }
        extra.insert("instance".to_owned(), self.0.instance.to_string().into());
        if let Some(hostname) = &self.0.hostname {
            extra.insert("hostname".to_owned(), hostname.as_str().into());
        }
        json!({
            "message": line.message,
            "level": level_name(line.level),
            "timestamp": format!("{:.6}", line.time),
            "extra": Value::Object(extra),
        })
        .to_string()
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.0.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    fn shrink(&mut self) {
        while self.records.len() > WAITING_LINES || self.bytes > WAITING_BYTES {
            let Some(oldest) = self.records.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
            self.lost += 1;
        }
    }

    /// What goes into the next request: the oldest lines, at least one.
    fn batch(&mut self) -> Vec<String> {
        let mut batch = Vec::new();
        let mut size = 0;
        while let Some(record) = self.records.front() {
            size += record.len();
            if batch.len() == REQUEST_LINES || (size > REQUEST_BYTES && !batch.is_empty()) {
                break;
            }
            self.bytes -= record.len();
            batch.extend(self.records.pop_front());
        }
        batch
    }

    fn put_back(&mut self, batch: Vec<String>) {
        for record in batch.into_iter().rev() {
            self.bytes += record.len();
            self.records.push_front(record);
        }
        self.shrink();
    }
}

/// The name of the machine, which is the pod's in Kubernetes, where the kernel
/// tells it as a file.
fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn line(message: &str) -> Line<'static> {
        Line {
            time: "2026-11-21T01:02:03.5Z".parse().unwrap(),
            level: Level::WARN,
            target: "portolan::sync",
            message: message.to_owned(),
            fields: Map::from_iter([("kind".to_owned(), "incident".into())]),
        }
    }

    #[test]
    fn a_record_has_ports_form() {
        let shipper = Shipper::default();
        shipper.take(&line("Resynced"));

        let records = shipper.buffer().batch();
        let mut record: Value = serde_json::from_str(&records[0]).unwrap();

        let extra = record["extra"].as_object_mut().unwrap();
        assert_eq!(
            extra.remove("instance"),
            Some(shipper.0.instance.to_string().into())
        );
        extra.remove("hostname");
        assert_eq!(
            record,
            json!({
                "message": "Resynced",
                "level": "WARNING",
                "timestamp": "2026-11-21T01:02:03.500000Z",
                "extra": {"resource_kind": "incident"},
            })
        );
    }

    #[test]
    fn a_full_buffer_loses_its_oldest_lines_and_counts_them() {
        let shipper = Shipper::default();
        for number in 0..WAITING_LINES + 3 {
            shipper.take(&line(&number.to_string()));
        }

        let mut buffer = shipper.buffer();
        let first = buffer.batch();

        assert_eq!(buffer.lost, 3);
        assert_eq!(first.len(), REQUEST_LINES);
        assert!(first[0].contains(r#""message":"3""#), "{}", first[0]);
    }

    #[test]
    fn large_lines_make_small_requests_and_none_is_left_behind() {
        let shipper = Shipper::default();
        let large = "x".repeat(REQUEST_BYTES / 2);
        for _ in 0..3 {
            shipper.take(&line(&large));
        }
        shipper.take(&line(&"x".repeat(2 * REQUEST_BYTES)));

        let mut buffer = shipper.buffer();
        let sizes: Vec<usize> = std::iter::repeat_with(|| buffer.batch().len())
            .take(5)
            .collect();

        assert_eq!(sizes, [1, 1, 1, 1, 0]);
        assert_eq!(buffer.bytes, 0);
    }

    #[test]
    fn lines_that_were_put_back_come_first_again() {
        let shipper = Shipper::default();
        shipper.take(&line("first"));
        shipper.take(&line("second"));
        let batch = shipper.buffer().batch();
        shipper.take(&line("third"));

        let mut buffer = shipper.buffer();
        buffer.put_back(batch.clone());
        let again = buffer.batch();

        assert_eq!(again.len(), 3);
        assert_eq!(again[..2], batch[..]);
        assert_eq!(buffer.bytes, 0);
    }

    #[test]
    fn a_closed_shipper_takes_nothing() {
        let shipper = Shipper::default();
        shipper.take(&line("before"));
        shipper.close();
        shipper.take(&line("after"));

        assert!(shipper.buffer().batch().is_empty());
    }
}
