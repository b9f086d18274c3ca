//! How fast vendors are asked and how much goes to Port at once.

use super::reader::Reader;

/// Requests a minute that one credential may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimits {
    pub statuspage_per_minute: u32,
    pub pagerduty_per_minute: u32,
    /// In each of the domains by which Opsgenie counts; `None`: what Opsgenie
    /// itself says is all there is to keep to.
    pub opsgenie_per_minute: Option<u32>,
}

/// The size and number of bulk requests to Port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsertSettings {
    /// Entities in one bulk request; never more than Port takes (20).
    pub batch_max_length: usize,
    /// Bytes in one bulk request; never more than Port takes (1 MiB).
    pub batch_max_bytes: usize,
    /// Bulk requests on their way at the same time.
    pub concurrency: usize,
    /// Entities in one bulk deletion; never more than Port takes (100).
    pub deletion_batch_max_length: usize,
}

const OPSGENIE: &str = "OCEAN__RATE_LIMITS__OPSGENIE_PER_MINUTE";

impl RateLimits {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let limit = |name| reader.whole(name).try_into().unwrap_or(u32::MAX);
        Self {
            statuspage_per_minute: limit("OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE"),
            pagerduty_per_minute: limit("OCEAN__RATE_LIMITS__PAGERDUTY_PER_MINUTE"),
            opsgenie_per_minute: Some(OPSGENIE).filter(|name| reader.is_set(name)).map(limit),
        }
    }
}

impl UpsertSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            batch_max_length: at_most(reader, "OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH", 20),
            batch_max_bytes: at_most(
                reader,
                "OCEAN__UPSERT_ENTITIES_BATCH_MAX_SIZE_IN_BYTES",
                1_048_576,
            ),
            concurrency: at_most(reader, "OCEAN__UPSERT_CONCURRENCY", 64),
            deletion_batch_max_length: at_most(
                reader,
                "OCEAN__DELETE_ENTITIES_MAX_BATCH_SIZE",
                100,
            ),
        }
    }
}

/// More than Port takes is not refused, because the originals accepted it and
/// a replacement must start with the same variables; it is cut and said.
fn at_most(reader: &mut Reader<'_>, name: &'static str, limit: usize) -> usize {
    let asked = usize::try_from(reader.whole(name)).unwrap_or(usize::MAX);
    if asked > limit {
        let written = reader.written(name);
        reader.warn(format!(
            "`{written}` is {asked}, but more than {limit} is not possible: {limit} is used"
        ));
    }
    asked.min(limit)
}
