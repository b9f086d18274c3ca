//! Of several resource configs that write one entity, who has the say.

use super::{Fingerprint, Writer};
use crate::mapping::Entity;
use crate::resource_config::MappedFields;

impl Writer {
    /// Takes out of an entity of the resource configs `own` what later ones
    /// wrote. False when nothing is left to say: without merging, the later one
    /// replaces the whole entity.
    pub(super) fn leave_to_others(
        &self,
        fingerprint: Fingerprint,
        own: &[usize],
        entity: &mut Entity,
    ) -> bool {
        let others: Vec<usize> = self
            .mapped
            .ledger
            .writers(fingerprint)
            .iter()
            .copied()
            .filter(|writer| !own.contains(writer))
            .collect();
        if !self.options.merge {
            return !others
                .iter()
                .any(|other| own.iter().all(|mine| mine < other));
        }
        // Where `own` are several, one of them may come before and one after
        // the other writer: each field goes to the last who maps it.
        let is_outranked = |maps: &dyn Fn(&MappedFields) -> bool| {
            let maps = |config: usize| {
                let contribution = self.contributions.get(config);
                contribution.is_some_and(|contribution| maps(&contribution.fields))
            };
            others
                .iter()
                .any(|&other| maps(other) && !own.iter().any(|&mine| mine > other && maps(mine)))
        };
        if is_outranked(&|fields| fields.title) {
            entity.title = None;
        }
        if is_outranked(&|fields| fields.icon) {
            entity.icon = None;
        }
        if is_outranked(&|fields| fields.team) {
            entity.team = None;
        }
        entity
            .properties
            .retain(|name, _| !is_outranked(&|fields| fields.properties.contains(name)));
        entity
            .relations
            .retain(|name, _| !is_outranked(&|fields| fields.relations.contains(name)));
        true
    }
}
