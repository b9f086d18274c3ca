//! What becomes of alerts and incidents, as far as tests have a hand in it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Opsgenie, Simulator, instant_at, text_at};

/// Who acknowledges and closes.
const ENGINEER: &str = "on.call@example.com";

impl Simulator<Opsgenie> {
    /// An alert that begins now and that nobody has acknowledged yet.
    pub fn open_alert(&self, id: &str, message: &str, tags: &[&str]) {
        self.world(|world| {
            let now = now(world);
            let alert = json!({
                "id": id, "tinyId": world.next_number("alerts"), "alias": id, "message": message,
                "status": "open", "acknowledged": false, "isSeen": false, "seen": false,
                "tags": tags, "snoozed": false, "count": 1, "lastOccurredAt": now,
                "createdAt": now, "updatedAt": now, "source": "monitor", "owner": "",
                "priority": "P3", "teams": [], "responders": [],
                "integration": {"id": "4513b7ea-3b91-438f-b7e4-e3e54af9147c", "name": "API", "type": "API"},
                "ownerTeamId": "", "actions": [], "entity": "", "description": message,
                "details": {},
            });
            world.insert("alerts", &alert);
        });
    }

    /// Acknowledges an open alert; false when there is none, or it is acknowledged.
    pub fn acknowledge_alert(&self, id: &str) -> bool {
        self.change("alerts", id, |alert, now| {
            if alert["status"] != "open" || alert["acknowledged"] == true {
                return false;
            }
            alert["acknowledged"] = true.into();
            alert["isSeen"] = true.into();
            alert["owner"] = ENGINEER.into();
            report(alert, ["ackTime", "acknowledgedBy"], now);
            true
        })
    }

    /// Takes an acknowledgement back; false when there is none. The report of
    /// when it was acknowledged stays, as Opsgenie leaves it.
    pub fn unacknowledge_alert(&self, id: &str) -> bool {
        self.change("alerts", id, |alert, _| {
            let taken_back = alert["status"] == "open" && alert["acknowledged"] == true;
            if taken_back {
                alert["acknowledged"] = false.into();
            }
            taken_back
        })
    }

    /// Closes an open alert; false when there is none.
    pub fn close_alert(&self, id: &str) -> bool {
        self.change("alerts", id, |alert, now| {
            let open = alert["status"] == "open";
            if open {
                alert["status"] = "closed".into();
                report(alert, ["closeTime", "closedBy"], now);
            }
            open
        })
    }

    /// Gives an alert these tags instead of those it has; false when there is none.
    pub fn tag_alert(&self, id: &str, tags: &[&str]) -> bool {
        self.change("alerts", id, |alert, _| {
            alert["tags"] = json!(tags);
            true
        })
    }

    /// An incident that begins now.
    pub fn open_incident(&self, id: &str, message: &str, tags: &[&str]) {
        self.world(|world| {
            let now = now(world);
            let incident = json!({
                "id": id, "tinyId": world.next_number("incidents"), "message": message,
                "description": message, "status": "open", "isSeen": false, "tags": tags,
                "createdAt": now, "updatedAt": now, "impactStartDate": now, "source": ENGINEER,
                "owner": ENGINEER, "priority": "P3", "ownerTeam": "", "responders": [],
                "impactedServices": [], "extraProperties": {}, "actions": [],
                "links": {
                    "web": format!("https://example.app.opsgenie.com/incident/detail/{id}"),
                    "api": format!("https://api.opsgenie.com/v1/incidents/{id}"),
                },
            });
            world.insert("incidents", &incident);
        });
    }

    /// Resolves an open incident; false when there is none.
    pub fn resolve_incident(&self, id: &str) -> bool {
        self.change("incidents", id, |incident, now| {
            let open = incident["status"] == "open";
            if open {
                incident["status"] = "resolved".into();
                incident["impactEndDate"] = now.to_string().into();
            }
            open
        })
    }

    /// Changes an object, and says so in it when the closure did something.
    fn change(
        &self,
        kind: &str,
        id: &str,
        change: impl FnOnce(&mut Value, Timestamp) -> bool,
    ) -> bool {
        self.world(|world| {
            let now = milliseconds(world.clock.now());
            let mut changed = false;
            world.update(kind, id, |object| {
                changed = change(object, now);
                if changed {
                    object["updatedAt"] = now.to_string().into();
                }
            });
            changed
        })
    }
}

impl Opsgenie {
    fn next_number(&self, kind: &str) -> String {
        let rows = self.table(kind).rows();
        let last = rows.map(|row| row.facts.tiny_id).max();
        (last.unwrap_or_default() + 1).to_string()
    }
}

fn now(world: &Opsgenie) -> String {
    milliseconds(world.clock.now()).to_string()
}

/// Opsgenie keeps time to the millisecond.
fn milliseconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(instant.as_millisecond()).unwrap_or(instant)
}

/// Notes how many milliseconds after its beginning something happened to an
/// alert, and who did it.
fn report(alert: &mut Value, [time, by]: [&str; 2], now: Timestamp) {
    let created = instant_at(alert, "createdAt").unwrap_or(now);
    let took = now.as_millisecond() - created.as_millisecond();
    let owner = match text_at(alert, "owner") {
        "" => ENGINEER,
        owner => owner,
    };
    let owner = owner.to_owned();
    alert["report"][time] = took.into();
    alert["report"][by] = owner.into();
}
