//! What people do in Statuspage's own pages, and what subscribers get of it all.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::body::{Change, MAINTENANCE, REALTIME};
use super::{Notification, Simulator, Statuspage, stamp};

/// How long a maintenance is planned to take.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

impl Simulator<Statuspage> {
    /// Every update that was sent to subscribers, in the order in which they got them.
    pub fn notifications(&self) -> Vec<Notification> {
        self.world(|world| world.watch.notifications.iter().cloned().collect())
    }

    /// One sentence for each component and each moment after a write at which
    /// several unresolved incidents held it that are Portolan's (by their
    /// metadata) or its predecessor's (by the watermark in their oldest update).
    pub fn overlaps(&self) -> Vec<String> {
        self.world(|world| world.watch.overlaps.iter().cloned().collect())
    }

    /// Forgets the overlaps so far: those that a test began with on purpose.
    pub fn forget_overlaps(&self) {
        self.world(|world| world.watch.overlaps.clear());
    }

    /// From now on lists show an incident that was created, changed or deleted
    /// less than so long ago as it was before, while the single one is shown as
    /// it is. What was written so far is shown at once.
    pub fn lag_lists(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        self.world(|world| world.lag.set(by));
    }

    /// How many active e-mail subscribers a page has beside those in the table.
    pub fn set_subscribers(&self, page: &str, count: u64) {
        self.world(|world| world.crowds.insert(page.to_owned(), count));
    }

    /// An engineer writes an update; subscribers get it. Its components stay as
    /// they are. False when there is no such incident.
    ///
    /// # Panics
    /// When there is no such status.
    pub fn human_update(&self, incident: &str, status: &str, body: &str) -> bool {
        assert!(
            REALTIME.contains(&status) || MAINTENANCE.contains(&status),
            "no incident is ever `{status}`"
        );
        let change = Change {
            status: Some(status.to_owned()),
            body: Some(body.to_owned()),
            ..Change::default()
        };
        self.world(|world| world.change(incident, change))
    }

    /// Begins a maintenance of these components, and gives its identifier. They
    /// are under maintenance until it ends.
    pub fn start_maintenance(&self, page: &str, components: &[&str]) -> String {
        self.world(|world| {
            let now = world.clock.now();
            let end = now.saturating_add(WINDOW).unwrap_or(now);
            let kept = [
                ("scheduled_for", Value::from(stamp(now))),
                ("scheduled_until", stamp(end).into()),
                ("auto_transition_to_maintenance_state", true.into()),
                ("auto_transition_to_operational_state", true.into()),
            ];
            let change = Change {
                name: Some("Planned maintenance".to_owned()),
                status: Some("in_progress".to_owned()),
                body: Some("The maintenance has begun.".to_owned()),
                components: all(components, "under_maintenance"),
                kept: kept
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                ..Change::default()
            };
            let id = world.open(page, change);
            world.look();
            id
        })
    }

    /// Ends a maintenance. Its components are operational then, even those that
    /// an incident holds as well: Statuspage does not look. False when there is
    /// no such maintenance.
    pub fn end_maintenance(&self, id: &str) -> bool {
        self.world(|world| {
            let row = world.table("incident").row(id);
            let Some(row) = row.filter(|row| row.facts.scheduled) else {
                return false;
            };
            let components = row.facts.components.iter();
            let components: Vec<_> = components.map(|(id, _)| id.as_str()).collect();
            let change = Change {
                status: Some("completed".to_owned()),
                body: Some("The maintenance is over.".to_owned()),
                components: all(&components, "operational"),
                ..Change::default()
            };
            world.change(id, change)
        })
    }
}

impl Statuspage {
    fn change(&mut self, id: &str, change: Change) -> bool {
        let found = self.table("incident").row(id).is_some();
        if found {
            self.apply(id, change);
            self.look();
        }
        found
    }
}

fn all(components: &[&str], status: &str) -> Vec<(String, String)> {
    components
        .iter()
        .map(|&id| (id.to_owned(), status.to_owned()))
        .collect()
}
