//! What the texts of a step see, and the texts.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::situation::Situation;
use crate::reconcile::config::{AlertSource, ComponentStatus, Rule};
use crate::reconcile::model::{ComponentId, instant};
use crate::reconcile::record::{self, Record};
use crate::reconcile::rules::Tagged;
use crate::reconcile::text::{Scope, ScopeComponent, ScopePage, Text, Times};

/// The scope of a text about these components.
pub(super) fn of<'a>(
    situation: &Situation<'_>,
    rule: Option<&Rule>,
    components: impl IntoIterator<Item = (&'a ComponentId, ComponentStatus)>,
) -> Scope {
    let page = &situation.page.page;
    Scope {
        components: components
            .into_iter()
            .map(|(id, status)| component(situation, id, status))
            .collect(),
        joined: Vec::new(),
        left: Vec::new(),
        incident: Value::Null,
        incidents: Vec::new(),
        source: rule.map_or(AlertSource::Pagerduty, |rule| rule.source),
        account: String::new(),
        page: ScopePage {
            id: page.id.to_string(),
            name: page.name.clone(),
            url: Some(page.url.clone()).filter(|url| !url.is_empty()),
            time_zone: time_zone(&page.time_zone),
        },
        rule: rule.map(|rule| rule.name.clone()).unwrap_or_default(),
        times: Times {
            now: situation.now,
            started: None,
            acknowledged: None,
        },
    }
}

fn component(
    situation: &Situation<'_>,
    id: &ComponentId,
    status: ComponentStatus,
) -> ScopeComponent {
    let known = situation.page.components.get(id);
    ScopeComponent {
        id: id.to_string(),
        name: name(situation, id),
        status,
        group: known.and_then(|one| one.group.clone()),
    }
}

/// The name of a component; one that was deleted has only its identifier left.
fn name(situation: &Situation<'_>, id: &ComponentId) -> String {
    let known = situation.page.components.get(id);
    known.map_or_else(|| id.to_string(), |one| one.name.clone())
}

/// The names of components.
pub(super) fn names(situation: &Situation<'_>, components: &BTreeSet<ComponentId>) -> Vec<String> {
    components.iter().map(|id| name(situation, id)).collect()
}

/// Statuspage knows time zones by the long names of Rails as well, which no
/// database of time zones has; times are then told in UTC.
fn time_zone(name: &str) -> String {
    let is_known = jiff::tz::TimeZone::get(name).is_ok();
    if is_known { name } else { "UTC" }.to_owned()
}

/// Puts the source incidents in, and the oldest as the one it is about.
pub(super) fn with_sources(scope: &mut Scope, sources: &[Arc<Tagged>]) {
    scope.incidents = sources
        .iter()
        .map(|source| Value::clone(&source.incident.object))
        .collect();
    scope.times.started = sources.iter().map(|source| source.incident.created).min();
    scope.times.acknowledged = sources
        .iter()
        .filter(|source| source.opens)
        .map(|source| source.incident.since)
        .min();
    if let Some(first) = sources.first() {
        about(scope, first);
    }
}

/// Makes one of the source incidents the one it is about.
pub(super) fn about(scope: &mut Scope, source: &Tagged) {
    scope.incident = Value::clone(&source.incident.object);
    scope.source = source.incident.id.source;
    scope.account.clone_from(&source.incident.id.account);
}

/// Puts source incidents in that are over, as far as their API still shows them.
pub(super) fn with_ended(scope: &mut Scope, situation: &Situation<'_>, record: &Record) {
    let mut objects = record.sources.iter().filter_map(|source| {
        let ended = situation.endings.get(&source.id)?;
        Some((&source.id, ended.object.clone()?))
    });
    let Some((id, newest)) = objects.next_back() else {
        return;
    };
    scope.source = id.source;
    scope.account.clone_from(&id.account);
    scope.incidents = objects.map(|(_, object)| Value::clone(&object)).collect();
    scope.incidents.push(Value::clone(&newest));
    scope.incident = Value::clone(&newest);
    let created = |incident: &Value| {
        let keys = ["created_at", "createdAt"];
        keys.iter().find_map(|key| instant(incident, key))
    };
    scope.times.started = scope.incidents.iter().filter_map(created).min();
}

pub(super) fn render_name(text: &Text, scope: &Scope) -> Result<String, String> {
    text.render(scope, Text::NAME_LIMIT)
        .map_err(|error| error.to_string())
}

pub(super) fn render_body(text: &Text, scope: &Scope) -> Result<String, String> {
    text.render(scope, Text::BODY_LIMIT)
        .map_err(|error| error.to_string())
}

/// Several texts of one update, within what an update may hold.
pub(super) fn joined(texts: &[String]) -> String {
    let mut body = texts.join("\n\n");
    if let Some((end, _)) = body.char_indices().nth(Text::BODY_LIMIT - 1) {
        body.truncate(end);
        body.push('…');
    }
    body
}

/// The digest of an update with this status and body.
pub(super) fn hash(status: &str, body: Option<&str>) -> String {
    record::Text {
        status: status.to_owned(),
        body: body.unwrap_or_default().to_owned(),
    }
    .hash()
}
