//! What the mapping makes of an object, and what of it is not mapped any more.

use std::collections::BTreeSet;

use crate::jq;
use crate::mapping::{Entity, Findings, Identity, Which, identify, map_batch};
use crate::resource_config::ResourceConfig;
use crate::source::{LiveView, Presence, Standing};

/// What the mapping makes of an object.
#[derive(Default)]
pub(super) struct Made {
    /// By index of the resource config, in the order of the document.
    pub(super) entities: Vec<(usize, Vec<Entity>)>,
    pub(super) candidates: BTreeSet<Identity>,
    pub(super) findings: Findings,
}

/// Must be called on a large stack.
///
/// Of an object that is not there only the identifier is known for sure, and who
/// has the rest from an event might make another object's entity of it: there only
/// what is made of the identifier counts.
pub(super) fn make(views: &[LiveView], presence: Presence, limits: &jq::Limits) -> Made {
    let is_its_own = |config: &ResourceConfig| match presence {
        Presence::Present => config.names_each_object(),
        Presence::Gone | Presence::OutOfScope => config.names_by_id(),
    };
    let mut made = Made::default();
    // Resource configs of which nobody knows what they make of the object.
    let mut doubtful: Vec<&ResourceConfig> = Vec::new();
    for view in views {
        let LiveView {
            consumers,
            batch,
            standing,
        } = view;
        let which = match standing {
            Standing::Included => Which::Unselected,
            Standing::Excluded => Which::All,
            Standing::Undecided => {
                doubtful.extend(consumers.iter().map(|consumer| &*consumer.config));
                continue;
            }
        };
        if *standing == Standing::Included {
            for (consumer, mapped) in consumers.iter().zip(map_batch(batch, consumers, limits)) {
                if mapped.failed > 0 {
                    doubtful.push(&consumer.config);
                }
                made.findings.merge(mapped.findings);
                made.entities.push((consumer.config.index, mapped.entities));
            }
        }
        let identified = identify(batch, consumers, which, limits);
        for (consumer, identities) in consumers.iter().zip(identified) {
            if is_its_own(&consumer.config) {
                made.candidates.extend(identities);
            }
        }
    }
    made.entities.sort_by_key(|(index, _)| *index);
    let is_in_doubt = |identity: &Identity| {
        let may_feed = |config: &&ResourceConfig| {
            let blueprint = config.literal_blueprint();
            blueprint.is_none_or(|blueprint| blueprint == identity.blueprint)
        };
        doubtful.iter().any(may_feed)
    };
    made.candidates.retain(|identity| !is_in_doubt(identity));
    made
}
