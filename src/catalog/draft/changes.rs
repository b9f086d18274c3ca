//! What a draft comes to: every entity that would not be as it is.

use serde::Serialize;
use serde_json::Value;

/// Everything that would change.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    /// By blueprint and identifier.
    pub entities: Vec<EntityChange>,
    /// Entities that would be written although nothing of them changes, because they
    /// cannot be compared, or because somebody else wrote them last.
    pub rewritten: u64,
}

/// One entity that would not be as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityChange {
    pub action: Action,
    pub blueprint: String,
    pub identifier: String,
    /// What of it, by name; of one that is deleted, nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Why, where that is not simply that the sources have it, or have it no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// What would be done with an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Change,
    Delete,
}

/// One field that would not be as it is. Null stands for nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// `title`, `properties.status`, `relations.team`.
    pub field: String,
    pub old: Value,
    pub new: Value,
}

impl Changes {
    /// How many entities.
    pub fn count(&self, action: Action) -> usize {
        let of_action = |change: &&EntityChange| change.action == action;
        self.entities.iter().filter(of_action).count()
    }
}
