//! Entities whose relation targets were missing, once more.

use super::{Pending, Writer, order};
use crate::mapping::Entity;

impl Writer {
    /// Sends what lacked a relation target once more, targets first; and again
    /// as long as that stores some of it, since the order goes by identifiers
    /// alone and can be wrong where two blueprints share one.
    pub(super) async fn retry_postponed(&mut self) {
        let mut before = usize::MAX;
        while (1..before).contains(&self.postponed.len()) {
            before = self.postponed.len();
            tracing::info!(
                entities = before,
                "Storing {before} entities again whose relation targets were missing"
            );
            let postponed = self.postponed.take();
            self.send_in_waves(postponed).await;
        }
        for (pending, reason) in self.postponed.take() {
            self.refuse(&pending.shares, &pending.entity, &reason);
        }
    }

    async fn send_in_waves(&mut self, postponed: Vec<(Pending, String)>) {
        let entities: Vec<&Entity> = postponed
            .iter()
            .map(|(pending, _)| &pending.entity)
            .collect();
        let waves = order::waves(&entities);
        let mut postponed: Vec<Option<Pending>> = postponed
            .into_iter()
            .map(|(pending, _)| Some(pending))
            .collect();
        for wave in waves {
            for index in wave {
                let Some(mut pending) = postponed.get_mut(index).and_then(Option::take) else {
                    continue;
                };
                // Meanwhile other resource configs may have written it.
                if let Some(fingerprint) = pending.fingerprint {
                    let own = pending.configs();
                    if !self.leave_to_others(fingerprint, &own, &mut pending.entity) {
                        self.count_unchanged(&pending.shares);
                        continue;
                    }
                    pending.write_body();
                }
                self.enqueue(pending).await;
            }
            self.flush_all().await;
        }
    }
}
