//! Analytics, worked out from the incidents.
//!
//! The figures are plausible rather than PagerDuty's: how long the first
//! acknowledgement took follows from the incident's identifier, so that it is
//! the same in every run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::chassis::{Reply, Request};
use super::{Object, Pagerduty, Row, invalid, text_at};

/// Default and maximum of a page of raw rows.
const RAW_LIMITS: (u64, u64) = (100, 1000);

/// The durations of one incident, in seconds.
struct Figures {
    acknowledged: i64,
    engaged: i64,
    resolved: Option<i64>,
}

impl Figures {
    fn of(row: &Row<Object>) -> Self {
        let mixed = row
            .id
            .bytes()
            .fold(7_i64, |sum, byte| (sum * 31 + i64::from(byte)) % 9973);
        let resolved = row
            .facts
            .resolved
            .zip(row.facts.created)
            .map(|(resolved, created)| resolved.duration_since(created).as_secs().max(1));
        let most = resolved.unwrap_or(i64::MAX);
        Self {
            acknowledged: (45 + mixed % 700).min(most),
            engaged: (60 + mixed % 1100).min(most),
            resolved,
        }
    }
}

/// The filters that both endpoints share.
struct Filter {
    services: Vec<String>,
    teams: Vec<String>,
    urgency: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Filter {
    fn of(body: &Value) -> Result<Self, Reply> {
        let filters = match &body["filters"] {
            Value::Null => &Value::Null,
            filters @ Value::Object(_) => filters,
            _ => return Err(invalid("filters must be an object")),
        };
        let texts = |key: &str| match &filters[key] {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => list
                .iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| invalid(&format!("{key} must hold strings"))),
            _ => Err(invalid(&format!("{key} must be a list"))),
        };
        let instant = |key: &str| match &filters[key] {
            Value::Null => Ok(None),
            value => value
                .as_str()
                .and_then(|text| text.parse().ok())
                .map(Some)
                .ok_or_else(|| invalid(&format!("{key} must be a date and time"))),
        };
        Ok(Self {
            services: texts("service_ids")?,
            teams: texts("team_ids")?,
            urgency: filters["urgency"].as_str().map(str::to_owned),
            start: instant("created_at_start")?,
            end: instant("created_at_end")?,
        })
    }

    fn passes(&self, facts: &Object) -> bool {
        (self.services.is_empty() || self.services.contains(&facts.service))
            && (self.teams.is_empty() || facts.teams.iter().any(|team| self.teams.contains(team)))
            && self
                .urgency
                .as_ref()
                .is_none_or(|urgency| *urgency == facts.urgency)
            && self.start.is_none_or(|start| facts.created >= Some(start))
            && self.end.is_none_or(|end| facts.created < Some(end))
    }
}

impl Pagerduty {
    /// One row a service; a service without incidents has none.
    pub(super) fn service_metrics(&self, request: &Request) -> Result<Reply, Reply> {
        let body = body(request)?;
        let filter = Filter::of(&body)?;
        let mut by_service: BTreeMap<&str, Vec<&Row<Object>>> = BTreeMap::new();
        for row in self
            .rows("incidents")
            .filter(|row| filter.passes(&row.facts))
        {
            by_service.entry(&row.facts.service).or_default().push(row);
        }
        let data: Vec<_> = by_service
            .into_iter()
            .filter_map(|(service, incidents)| self.service_row(service, &incidents, &filter))
            .collect();
        Ok(Reply::json(
            200,
            &json!({
                "data": data, "filters": body["filters"],
                "time_zone": body.get("time_zone").cloned().unwrap_or(json!("Etc/UTC")),
                "aggregate_unit": body["aggregate_unit"],
            }),
        ))
    }

    fn service_row(&self, id: &str, incidents: &[&Row<Object>], filter: &Filter) -> Option<Value> {
        let service = self.row("services", id).ok()?.object();
        let team = &service["teams"][0];
        let figures: Vec<_> = incidents.iter().map(|row| Figures::of(row)).collect();
        let mean = |values: Vec<i64>| {
            let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
            (count > 0).then(|| values.iter().sum::<i64>() / count)
        };
        let resolved = mean(figures.iter().filter_map(|one| one.resolved).collect());
        Some(json!({
            "service_id": id, "service_name": service["name"],
            "team_id": team["id"], "team_name": team["summary"],
            "mean_seconds_to_resolve": resolved,
            "mean_seconds_to_first_ack": mean(figures.iter().map(|one| one.acknowledged).collect()),
            "mean_seconds_to_engage": mean(figures.iter().map(|one| one.engaged).collect()),
            "mean_seconds_to_mobilize": null,
            "mean_engaged_seconds": resolved, "mean_engaged_user_count": 1,
            "mean_assignment_count": 1, "total_incident_count": incidents.len(),
            "total_business_hour_interruptions": incidents.len(),
            "total_sleep_hour_interruptions": 0, "total_off_hour_interruptions": 0,
            "total_snoozed_seconds": 0, "total_escalation_count": 0, "up_time_pct": 99.95,
            "range_start": filter.start.map(|start| start.to_string()),
        }))
    }

    pub(super) fn raw_incidents(&self, request: &Request) -> Result<Reply, Reply> {
        let body = body(request)?;
        let filter = Filter::of(&body)?;
        let limit = match body["limit"].as_u64() {
            None if body["limit"].is_null() => RAW_LIMITS.0,
            Some(limit) if (1..=RAW_LIMITS.1).contains(&limit) => limit,
            _ => return Err(invalid("limit must be between 1 and 1000")),
        };
        let mut rows: Vec<_> = self
            .rows("incidents")
            .filter(|row| filter.passes(&row.facts))
            .collect();
        rows.sort_by_key(|row| (row.facts.created, &row.id));
        if text_at(&body, "order") != "asc" {
            rows.reverse();
        }
        let first = match body["starting_after"].as_str() {
            None => 0,
            Some(cursor) => rows
                .iter()
                .position(|row| cursor_of(row) == cursor)
                .map(|position| position + 1)
                .ok_or_else(|| invalid("starting_after is not valid"))?,
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = rows[first..].iter().take(limit);
        let data: Vec<_> = page.clone().map(|row| raw_row(row)).collect();
        Ok(Reply::json(
            200,
            &json!({
                "first": page.clone().next().map(|row| cursor_of(row)),
                "last": page.clone().next_back().map(|row| cursor_of(row)),
                "limit": limit, "more": first + limit < rows.len(),
                "order": body.get("order").cloned().unwrap_or(json!("desc")),
                "order_by": "created_at", "time_zone": "Etc/UTC",
                "filters": body["filters"], "data": data,
            }),
        ))
    }

    pub(super) fn raw_incident(&self, id: &str) -> Result<Reply, Reply> {
        Ok(Reply::json(200, &raw_row(self.row("incidents", id)?)))
    }
}

fn raw_row(row: &Row<Object>) -> Value {
    let incident = row.object();
    let figures = Figures::of(row);
    let mut raw = Map::new();
    for (name, value) in [
        ("id", json!(row.id)),
        ("incident_number", incident["incident_number"].clone()),
        ("description", incident["title"].clone()),
        ("service_id", incident["service"]["id"].clone()),
        ("service_name", incident["service"]["summary"].clone()),
        ("team_id", incident["teams"][0]["id"].clone()),
        ("team_name", incident["teams"][0]["summary"].clone()),
        ("created_at", incident["created_at"].clone()),
        ("resolved_at", incident["resolved_at"].clone()),
        ("urgency", incident["urgency"].clone()),
        ("major", json!(false)),
        ("priority_id", incident["priority"]["id"].clone()),
        ("priority_name", incident["priority"]["summary"].clone()),
        ("seconds_to_resolve", json!(figures.resolved)),
        ("seconds_to_first_ack", json!(figures.acknowledged)),
        ("seconds_to_engage", json!(figures.engaged)),
        ("seconds_to_mobilize", Value::Null),
        (
            "engaged_seconds",
            json!(figures.resolved.unwrap_or_default()),
        ),
        ("engaged_user_count", json!(1)),
        ("escalation_count", json!(0)),
        ("assignment_count", json!(1)),
        ("business_hour_interruptions", json!(1)),
        ("sleep_hour_interruptions", json!(0)),
        ("off_hour_interruptions", json!(0)),
        ("snoozed_seconds", json!(0)),
        ("user_defined_effort_seconds", Value::Null),
    ] {
        raw.insert(name.to_owned(), value);
    }
    Value::Object(raw)
}

fn body(request: &Request) -> Result<Value, Reply> {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    request
        .json()
        .filter(Value::is_object)
        .ok_or_else(|| invalid("The body must be an object"))
}

/// Opaque to clients: not an identifier that could be mistaken for one.
fn cursor_of(row: &Row<Object>) -> String {
    let created = row.facts.created.map_or(0, Timestamp::as_second);
    format!("{created:x}.{}", row.id)
}
