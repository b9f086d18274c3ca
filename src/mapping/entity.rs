//! What goes to Port.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// An entity as mapped. Serialises to the body Port expects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entity {
    pub identifier: EntityIdentifier,
    pub blueprint: String,
    /// None: not mapped (or not known), so not sent. The same for the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Value>,
    /// Null clears the property in Port; an absent one keeps its value.
    pub properties: Map<String, Value>,
    pub relations: Map<String, Value>,
}

/// How Port finds the entity.
#[derive(Clone, Debug, PartialEq)]
pub enum EntityIdentifier {
    Text(String),
    /// A query: Port updates the entity it finds. Such an entity cannot be
    /// compared or deleted, since its identifier is not known here.
    Search(Value),
}

impl EntityIdentifier {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Search(_) => None,
        }
    }
}

impl Serialize for EntityIdentifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Search(query) => query.serialize(serializer),
        }
    }
}
