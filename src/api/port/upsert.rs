//! What is asked of Port for a bulk of entities, and what became of each.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::api::ApiError;
use crate::api::error::{one_line, shape};
use crate::http::Reply;

/// How entities are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsertOptions {
    /// Keep properties that are not mentioned.
    pub merge: bool,
    pub create_missing_related_entities: bool,
    /// Check, but do not write.
    pub validation_only: bool,
    /// What caused the write (`resync`), for Port's own records.
    pub event_type: &'static str,
    pub resync_id: Option<String>,
}

impl UpsertOptions {
    pub(super) fn append_to(&self, url: &mut Url) {
        let text = |flag| if flag { "true" } else { "false" };
        let mut pairs = url.query_pairs_mut();
        pairs
            .append_pair("upsert", "true")
            .append_pair("merge", text(self.merge))
            .append_pair(
                "create_missing_related_entities",
                text(self.create_missing_related_entities),
            )
            .append_pair("validation_only", text(self.validation_only))
            .append_pair("ocean_info_event_type", self.event_type);
        if let Some(id) = &self.resync_id {
            pairs.append_pair("ocean_info_resync_id", id);
        }
    }
}

/// What became of the entities of one request, by their place in it. Every
/// place is in exactly one of the two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkOutcome {
    pub stored: Vec<usize>,
    pub failed: Vec<EntityFailure>,
}

/// An entity that Port did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityFailure {
    pub index: usize,
    /// `unknown` where the entity is found by a search.
    pub identifier: String,
    /// 0 where the reply does not mention the entity.
    pub status: u16,
    /// Port's name for what is wrong.
    pub code: String,
    pub message: String,
}

/// The body of a bulk request, around entities that are JSON already.
pub(super) fn bulk_body(entities: &[Bytes]) -> Bytes {
    let length = entities
        .iter()
        .map(|entity| entity.len() + 1)
        .sum::<usize>()
        + 16;
    let mut body = BytesMut::with_capacity(length);
    body.put_slice(br#"{"entities":["#);
    for (index, entity) in entities.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.put_slice(entity);
    }
    body.put_slice(b"]}");
    body.freeze()
}

#[derive(Deserialize)]
struct BulkReply {
    entities: Vec<Stored>,
    #[serde(default)]
    errors: Option<Vec<Refused>>,
}

#[derive(Deserialize)]
struct Stored {
    index: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    index: usize,
    identifier: Option<String>,
    status_code: Option<u16>,
    error: Option<String>,
    message: Option<String>,
}

/// What a reply says about each of the `entities` that were sent.
///
/// An entity that the reply does not mention has failed: taking it for stored
/// would hide a loss, and writing it once more does no harm. One that is
/// mentioned as stored and as refused has failed, for the same reason.
pub(super) fn outcome(reply: &mut Reply, entities: &[Bytes]) -> Result<BulkOutcome, ApiError> {
    let body = reply.body.take();
    let found = shape(body.as_ref());
    let parsed: BulkReply = serde_json::from_value(body.unwrap_or_default()).map_err(|_| {
        ApiError::malformed(
            reply,
            format!("it is not the outcome of a bulk but {found}"),
        )
    })?;

    let mut fate: Vec<Option<Result<(), EntityFailure>>> = vec![None; entities.len()];
    let out_of_range = |index: usize| {
        let problem = format!("it mentions entity {index} of {}", entities.len());
        ApiError::malformed(reply, problem)
    };
    for Stored { index } in parsed.entities {
        *fate.get_mut(index).ok_or_else(|| out_of_range(index))? = Some(Ok(()));
    }
    for refused in parsed.errors.unwrap_or_default() {
        let index = refused.index;
        *fate.get_mut(index).ok_or_else(|| out_of_range(index))? = Some(Err(refused.into()));
    }

    let mut outcome = BulkOutcome::default();
    for (index, fate) in fate.into_iter().enumerate() {
        match fate {
            Some(Ok(())) => outcome.stored.push(index),
            Some(Err(failure)) => outcome.failed.push(failure),
            None => outcome.failed.push(not_mentioned(index, &entities[index])),
        }
    }
    Ok(outcome)
}

impl From<Refused> for EntityFailure {
    fn from(refused: Refused) -> Self {
        Self {
            index: refused.index,
            identifier: refused.identifier.unwrap_or_else(unknown),
            status: refused.status_code.unwrap_or_default(),
            code: refused.error.unwrap_or_else(unknown),
            message: refused.message.as_deref().map(one_line).unwrap_or_default(),
        }
    }
}

fn not_mentioned(index: usize, entity: &Bytes) -> EntityFailure {
    let identifier = serde_json::from_slice::<Value>(entity)
        .ok()
        .and_then(|entity| entity.get("identifier")?.as_str().map(str::to_owned));
    EntityFailure {
        index,
        identifier: identifier.unwrap_or_else(unknown),
        status: 0,
        code: "not_mentioned".to_owned(),
        message: "not mentioned in the reply".to_owned(),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}
