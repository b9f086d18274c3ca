//! How it stands with Port's Kafka, said when it changes and not again.

use std::mem::{Discriminant, discriminant};

use super::Failure;
use crate::causes::with_hint;

/// What has been said.
pub(super) struct Standing<S> {
    settled: S,
    /// The kind of failure that was said last and is not over.
    trouble: Option<Discriminant<Failure>>,
    is_unreachable: bool,
    /// Of the topic, in this session; none before the group has been joined.
    partitions: Option<usize>,
}

impl<S: Fn()> Standing<S> {
    pub(super) fn new(settled: S) -> Self {
        Self {
            settled,
            trouble: None,
            is_unreachable: false,
            partitions: None,
        }
    }

    /// A session begins.
    pub(super) fn begins(&mut self) {
        self.partitions = None;
    }

    /// Whether this session has got as far as that.
    pub(super) fn has_joined(&self) -> bool {
        self.partitions.is_some()
    }

    /// Says it, unless the last thing that was said is of its kind.
    pub(super) fn failed(&mut self, failure: &Failure) {
        (self.settled)();
        self.is_unreachable = matches!(failure, Failure::Unreachable { .. });
        let kind = discriminant(failure);
        if self.trouble.replace(kind) != Some(kind) {
            tracing::warn!(
                "Cannot listen to Port's Kafka, and goes on trying: {}",
                with_hint(failure, failure.hint())
            );
        }
    }

    /// Whether the first broker that answers ends the trouble. Any other ends when
    /// the group is joined, or a message comes.
    pub(super) fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    pub(super) fn works(&mut self) {
        self.is_unreachable = false;
        if self.trouble.take().is_some() {
            tracing::info!("Port's Kafka can be listened to again");
        }
    }

    /// The group has given this process so many partitions of the topic, all in all.
    pub(super) fn joined(&mut self, topic: &str, partitions: usize) {
        (self.settled)();
        self.works();
        if self.partitions.replace(partitions) != Some(partitions) {
            if partitions == 0 {
                tracing::warn!(
                    topic,
                    "Another process listens to `{topic}` for the same integration; this one takes over when that one ends"
                );
            } else {
                tracing::info!(
                    topic,
                    partitions,
                    "Listening to {partitions} partition(s) of `{topic}` in Port's Kafka"
                );
            }
        }
    }
}
