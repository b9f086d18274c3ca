//! What Port says when something about an integration changes, by webhook and by
//! Kafka alike.

use serde_json::Value;

/// One message.
#[derive(Clone, Debug)]
pub struct ChangeLogMessage(Value);

/// What changed about the integration that a message shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The state that a resync writes, and nothing after it. Whoever resyncs for
    /// such a message resyncs for ever.
    ResyncState,
    /// Its mapping, for example.
    SomethingElse,
}

impl ChangeLogMessage {
    /// None where it is not a JSON object.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(Value::is_object)
            .map(Self)
    }

    /// The identifier of the integration that it concerns, where it names one.
    pub fn integration(&self) -> Option<&str> {
        self.text("/context/integrationId")
    }

    /// Whether somebody pressed Resync.
    pub fn is_order(&self) -> bool {
        self.text("/action") == Some("RESYNC")
    }

    /// The identifier of what was changed, as it is now; none of what was deleted.
    pub fn changed_identifier(&self) -> Option<&str> {
        self.text("/diff/after/identifier")
    }

    /// Where the changed integration wants to be told of changes: `KAFKA`, for
    /// example.
    pub fn destination(&self) -> Option<&str> {
        self.text("/changelogDestination/type")
    }

    /// What changed, by the times of the changes; none where it shows no time.
    pub fn changed(&self) -> Option<Changed> {
        let last = self.0.pointer("/diff/after/updatedAt");
        let state = self.0.pointer("/diff/after/resyncState/updatedAt");
        match (last, state) {
            (None, None) => None,
            (last, state) if last == state => Some(Changed::ResyncState),
            _ => Some(Changed::SomethingElse),
        }
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer).and_then(Value::as_str)
    }
}
