//! One incident or service of PagerDuty.
//!
//! Whoever asks for different `include[]` sees different objects, so there is one
//! request for each set of them. `time_zone` is a parameter of lists alone: the
//! dates of an object fetched by its id are written in UTC, the same instants.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::enrichment::Enricher;
use super::query::parse_date;
use super::{Group, Pagerduty};
use crate::live_events::{Subject, Thing};
use crate::resource_config::{
    IncidentsSelector, Kind, PagerdutyKind, ResourceConfig, ServicesSelector,
};
use crate::source::SourceError;
use crate::source::live::{Live, LiveView, Presence, Standing, bare, concerns, described, shown};

impl Pagerduty {
    pub(super) async fn fetch_live(
        &self,
        subject: &Subject,
        configs: &[Arc<ResourceConfig>],
        now: Timestamp,
    ) -> Result<Live, SourceError> {
        let wanted: Vec<(&Arc<ResourceConfig>, &PagerdutyKind)> = configs
            .iter()
            .filter(|config| concerns(subject.thing, &config.kind))
            .filter_map(|config| match &config.kind {
                Kind::Pagerduty(kind) => Some((config, kind)),
                _ => None,
            })
            .collect();
        let sets: BTreeSet<BTreeSet<String>> =
            wanted.iter().map(|(_, kind)| include_of(kind)).collect();
        let enricher = Enricher::new(Arc::clone(&self.client), now, false)
            .saying_through(Arc::clone(&self.said));
        let mut live = Live {
            presence: Presence::Present,
            fetched: Timestamp::now(),
            views: Vec::new(),
        };
        for include in sets {
            let Some(object) = self.fetch(subject, &include).await? else {
                return Ok(Live::without(Presence::Gone));
            };
            live.fetched = Timestamp::now();
            let of_set = wanted
                .iter()
                .filter(|(_, kind)| include_of(kind) == include);
            for group in groups(of_set, &object, now) {
                live.views
                    .push(view(&enricher, group, object.clone()).await);
            }
        }
        Ok(live)
    }

    async fn fetch(
        &self,
        subject: &Subject,
        include: &BTreeSet<String>,
    ) -> Result<Option<Value>, SourceError> {
        let include: Vec<&str> = include.iter().map(String::as_str).collect();
        let fetched = match subject.thing {
            Thing::PagerdutyService => self.client.service(&subject.id, &include).await,
            Thing::PagerdutyIncident => self.client.incident(&subject.id, &include).await,
            _ => {
                return Err(SourceError::Unplaced {
                    what: described(subject),
                });
            }
        };
        fetched.map_err(|source| SourceError::Fetch {
            what: described(subject),
            source,
        })
    }
}

fn include_of(kind: &PagerdutyKind) -> BTreeSet<String> {
    let include = match kind {
        PagerdutyKind::Incidents(selector) => selector.include.as_slice(),
        PagerdutyKind::Services(selector) => selector.include.as_slice(),
        _ => &[],
    };
    include.iter().cloned().collect()
}

/// As for a resync: who is served by one pass of enrichment.
fn groups<'a>(
    configs: impl Iterator<Item = &'a (&'a Arc<ResourceConfig>, &'a PagerdutyKind)>,
    object: &Value,
    now: Timestamp,
) -> Vec<Group<Standing>> {
    let mut groups = Vec::new();
    for (config, kind) in configs {
        let standing = match kind {
            PagerdutyKind::Incidents(selector) => incident_stands(selector, object, now),
            PagerdutyKind::Services(selector) => service_stands(selector, object),
            _ => continue,
        };
        Group::join(&mut groups, standing, config, kind);
    }
    groups
}

async fn view(enricher: &Enricher, group: Group<Standing>, object: Value) -> LiveView {
    let Group {
        shared: standing,
        wanted,
        consumers,
    } = group;
    let batch = match standing {
        Standing::Included => enricher.enrich(vec![object], &wanted).await,
        Standing::Excluded | Standing::Undecided => bare(object, &wanted.columns()),
    };
    LiveView {
        consumers,
        batch,
        standing,
    }
}

/// Whether the API would have listed the object for its kind, whenever it is of.
pub(in crate::source) fn may_list(kind: &PagerdutyKind, object: &Value) -> bool {
    match kind {
        PagerdutyKind::Incidents(selector) => incident_passes(selector, object),
        PagerdutyKind::Services(selector) => service_stands(selector, object) == Standing::Included,
        _ => true,
    }
}

/// Whether `GET /incidents` would have listed the incident for the selector.
fn incident_stands(selector: &IncidentsSelector, incident: &Value, now: Timestamp) -> Standing {
    Standing::from(incident_passes(selector, incident))
        .and(|| in_range(selector, incident, is_resolved(incident), now))
}

fn is_resolved(incident: &Value) -> bool {
    incident.get("status").and_then(Value::as_str) == Some("resolved")
}

/// The same, whenever the incident began.
fn incident_passes(selector: &IncidentsSelector, incident: &Value) -> bool {
    let text = |pointer: &str| incident.pointer(pointer).and_then(Value::as_str);
    let among = |wanted: &[String], found: Option<&str>| {
        wanted.is_empty() || found.is_some_and(|found| wanted.iter().any(|one| one == found))
    };
    let any_among =
        |wanted: &[String], list: &str, id: &str| is_any_among(wanted, &incident[list], id);
    among(&selector.statuses, text("/status"))
        && among(&selector.urgencies, text("/urgency"))
        && among(&selector.service_ids, text("/service/id"))
        && any_among(&selector.team_ids, "teams", "/id")
        // Who asks for users gets what is open alone.
        && (selector.user_ids.is_empty()
            || (!is_resolved(incident) && any_among(&selector.user_ids, "assignments", "/assignee/id")))
        && selector
            .incident_key
            .as_deref()
            .is_none_or(|key| text("/incident_key") == Some(key))
}

/// Whether the incident began in the range that the selector asks for, or that a
/// resync asks for where it does not.
fn in_range(
    selector: &IncidentsSelector,
    incident: &Value,
    is_resolved: bool,
    now: Timestamp,
) -> Standing {
    let created = incident.get("created_at").and_then(Value::as_str);
    let created = created.and_then(|text| text.parse::<Timestamp>().ok());
    let date = |text: &Option<String>| text.as_deref().map(parse_date);
    let (since, until) = match selector.date_range.as_deref() {
        Some("all") => return Standing::Included,
        // Nothing that is documented.
        Some(_) => return Standing::Undecided,
        None => (date(&selector.since), date(&selector.until)),
    };
    let (since, until) = match (since, until) {
        // Open incidents are asked for whenever they began.
        (None, None) if !is_resolved => return Standing::Included,
        (None, None) => (a_month_before(now), now),
        (Some(Some(since)), None) => (since, now),
        (None, Some(Some(until))) => (a_month_before(until), until),
        (Some(Some(since)), Some(Some(until))) => (since, until),
        _ => return Standing::Undecided,
    };
    match created {
        // An incident of just now is not of the future, whatever our clock says.
        Some(created) if until == now => Standing::from(since <= created),
        Some(created) => Standing::from(since <= created && created < until),
        None => Standing::Undecided,
    }
}

/// The API's default range.
fn a_month_before(instant: Timestamp) -> Timestamp {
    let zoned = instant.to_zoned(TimeZone::UTC);
    zoned
        .checked_sub(1.month())
        .map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

/// Whether `GET /services` would have listed the service for the selector.
fn service_stands(selector: &ServicesSelector, service: &Value) -> Standing {
    Standing::from(is_any_among(&selector.team_ids, &service["teams"], "/id"))
}

fn is_any_among(wanted: &[String], list: &Value, id: &str) -> bool {
    let mut ids = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one.pointer(id)?.as_str());
    wanted.is_empty() || ids.any(|id| wanted.iter().any(|wanted| wanted == id))
}

/// The object as far as an event shows it; see [`crate::source::remains`].
pub(in crate::source) fn remains(subject: &Subject, payload: &Value) -> Option<Value> {
    let mut object = shown(subject, payload, "id")?;
    let members = object.as_object_mut()?;
    // Webhooks have another name for it.
    if let Some(number) = members.get("number").cloned() {
        members.entry("incident_number").or_insert(number);
    }
    // A reference calls itself one.
    let is_service = subject.thing == Thing::PagerdutyService;
    let kind = if is_service { "service" } else { "incident" };
    members.insert("type".to_owned(), json!(kind));
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-31T12:00:00Z".parse().unwrap()
    }

    fn incident() -> Value {
        json!({
            "id": "PX1", "status": "acknowledged", "urgency": "high", "incident_key": "key",
            "created_at": "2025-06-01T00:00:00Z", "service": {"id": "PS1"},
            "teams": [{"id": "PT1"}, {"id": "PT2"}],
            "assignments": [{"at": "2025-06-01T00:00:00Z", "assignee": {"id": "PU1"}}],
        })
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn stands(change: impl FnOnce(&mut IncidentsSelector), incident: &Value) -> Standing {
        let mut selector = IncidentsSelector::default();
        change(&mut selector);
        incident_stands(&selector, incident, now())
    }

    #[test]
    fn each_parameter_of_the_list_is_applied_to_the_incident() {
        use Standing::{Excluded, Included, Undecided};
        type Change = fn(&mut IncidentsSelector);
        let table: [(Change, Standing); 22] = [
            (|_| {}, Included),
            (
                |s| s.statuses = list(&["triggered", "acknowledged"]),
                Included,
            ),
            (|s| s.statuses = list(&["resolved"]), Excluded),
            (|s| s.urgencies = list(&["high"]), Included),
            (|s| s.urgencies = list(&["low"]), Excluded),
            (|s| s.service_ids = list(&["PS0", "PS1"]), Included),
            (|s| s.service_ids = list(&["PS0"]), Excluded),
            (|s| s.team_ids = list(&["PT2"]), Included),
            (|s| s.team_ids = list(&["PT3"]), Excluded),
            (|s| s.user_ids = list(&["PU1"]), Included),
            (|s| s.user_ids = list(&["PU2"]), Excluded),
            (|s| s.incident_key = Some("key".to_owned()), Included),
            (|s| s.incident_key = Some("other".to_owned()), Excluded),
            (|s| s.date_range = Some("all".to_owned()), Included),
            (|s| s.date_range = Some("week".to_owned()), Undecided),
            (|s| s.since = Some("2025-06-01".to_owned()), Included),
            (|s| s.since = Some("2025-06-02".to_owned()), Excluded),
            (|s| s.since = Some("yesterday".to_owned()), Undecided),
            (|s| s.until = Some("2025-06-20".to_owned()), Included),
            (|s| s.until = Some("2025-07-02".to_owned()), Excluded),
            // Not known, but it would not help.
            (
                |s| {
                    s.since = Some("yesterday".to_owned());
                    s.urgencies = list(&["low"]);
                },
                Excluded,
            ),
            (
                |s| {
                    s.since = Some("2025-05-01".to_owned());
                    s.until = Some("2025-06-01T00:00:00Z".to_owned());
                },
                Excluded,
            ),
        ];
        for (number, (change, expected)) in table.into_iter().enumerate() {
            assert_eq!(stands(change, &incident()), expected, "case {number}");
        }
    }

    #[test]
    fn resolved_incidents_are_of_the_last_month_and_of_no_user() {
        let mut incident = incident();
        incident["status"] = json!("resolved");

        assert_eq!(stands(|_| {}, &incident), Standing::Excluded);
        // The month before the end of March is as long as February.
        incident["created_at"] = json!("2026-02-28T12:00:00Z");
        assert_eq!(stands(|_| {}, &incident), Standing::Included);
        incident["created_at"] = json!("2026-03-31T12:00:05Z");
        assert_eq!(stands(|_| {}, &incident), Standing::Included);
        let of_user = |selector: &mut IncidentsSelector| selector.user_ids = list(&["PU1"]);
        assert_eq!(stands(of_user, &incident), Standing::Excluded);
    }

    #[test]
    fn services_are_those_of_the_teams_that_are_asked_for() {
        let mut selector = ServicesSelector {
            include: Vec::new(),
            sort_by: None,
            team_ids: list(&["PT1"]),
            time_zone: None,
            analytics: true,
            analytics_months: 3,
            custom_fields: false,
        };
        let service = json!({"id": "PS1", "teams": [{"id": "PT1"}]});
        let other = json!({"id": "PS1", "teams": []});

        assert_eq!(service_stands(&selector, &service), Standing::Included);
        assert_eq!(service_stands(&selector, &other), Standing::Excluded);
        selector.team_ids.clear();
        assert_eq!(service_stands(&selector, &other), Standing::Included);
    }
}
