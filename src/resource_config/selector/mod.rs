//! What a resource config asks of its source besides the filter expression:
//! query parameters, and which enrichment to add.
//!
//! The keys are the document's: camelCase outside `apiQueryParams`, the vendor's
//! own spelling inside (PagerDuty's is snake_case, Opsgenie's camelCase), the other
//! one tolerated there. Unknown keys only warn,
//! because documents written for other releases must keep working.

use serde_json::{Map, Value};

mod opsgenie;

pub use opsgenie::{Comparison, Operator, OpsgenieSearch};

use super::kind::{Kind, KindName, PagerdutyKind};
use crate::document::{Path, Reader, nearest};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicesSelector {
    pub include: Vec<String>,
    pub sort_by: Option<String>,
    pub team_ids: Vec<String>,
    pub time_zone: Option<String>,
    pub analytics: bool,
    /// How far the analytics window reaches back.
    pub analytics_months: u32,
    pub custom_fields: bool,
}

#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct IncidentsSelector {
    pub date_range: Option<String>,
    pub incident_key: Option<String>,
    pub since: Option<String>,
    pub until: Option<String>,
    pub sort_by: Option<String>,
    pub time_zone: Option<String>,
    pub include: Vec<String>,
    pub service_ids: Vec<String>,
    pub statuses: Vec<String>,
    pub team_ids: Vec<String>,
    pub urgencies: Vec<String>,
    pub user_ids: Vec<String>,
    pub analytics: bool,
    pub custom_fields: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulesSelector {
    pub include: Vec<String>,
    pub time_zone: Option<String>,
    /// Months before now.
    pub since_months: Option<u32>,
    /// Months after now.
    pub until_months: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OncallsSelector {
    pub include: Vec<String>,
    /// Months before now; 0 is now.
    pub since_months: u32,
    /// Months after now.
    pub until_months: u32,
    pub user_ids: Vec<String>,
    pub escalation_policy_ids: Vec<String>,
    pub schedule_ids: Vec<String>,
    pub time_zone: Option<String>,
    pub earliest: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationPoliciesSelector {
    pub include: Vec<String>,
    pub team_ids: Vec<String>,
    pub user_ids: Vec<String>,
    pub attach_oncall_users: bool,
}

/// Reads the typed part of a selector; `query` is read by the caller.
pub(super) fn read(
    reader: &mut Reader<'_>,
    path: &Path,
    name: KindName,
    selector: &Map<String, Value>,
) -> Kind {
    let mut options = Options {
        reader,
        path,
        selector,
        known: vec!["query", "exportEnvVariables"],
    };
    let kind = match name {
        KindName::Statuspage(kind) => Kind::Statuspage(kind),
        KindName::Pagerduty(endpoint) => Kind::Pagerduty(match endpoint.as_str() {
            "services" => PagerdutyKind::Services(services(&mut options)),
            "incidents" => PagerdutyKind::Incidents(incidents(&mut options)),
            "schedules" => PagerdutyKind::Schedules(schedules(&mut options)),
            "oncalls" => PagerdutyKind::Oncalls(oncalls(&mut options)),
            "escalation_policies" => {
                PagerdutyKind::EscalationPolicies(escalation_policies(&mut options))
            }
            _ => PagerdutyKind::Other(endpoint),
        }),
        KindName::Opsgenie(name) => Kind::Opsgenie(opsgenie::kind(name, &mut options)),
    };
    options.finish();
    kind
}

fn services(options: &mut Options<'_, '_>) -> ServicesSelector {
    let analytics = options.boolean("serviceAnalytics", true);
    let analytics_months = options.whole_number("analyticsMonthsPeriod").unwrap_or(3);
    let custom_fields = options.boolean("includeCustomFields", false);
    let mut query = options.query_parameters();
    let selector = ServicesSelector {
        include: query.strings("include"),
        sort_by: query.string("sort_by"),
        team_ids: query.strings("team_ids"),
        time_zone: query.string("time_zone"),
        analytics,
        analytics_months,
        custom_fields,
    };
    query.finish();
    selector
}

fn incidents(options: &mut Options<'_, '_>) -> IncidentsSelector {
    let analytics = options.boolean("incidentAnalytics", false);
    let custom_fields = options.boolean("includeCustomFields", false);
    let mut query = options.query_parameters();
    let selector = IncidentsSelector {
        date_range: query.string("date_range"),
        incident_key: query.string("incident_key"),
        since: query.string("since"),
        until: query.string("until"),
        sort_by: query.string("sort_by"),
        time_zone: query.string("time_zone"),
        include: query.strings("include"),
        service_ids: query.strings("service_ids"),
        statuses: query.strings("statuses"),
        team_ids: query.strings("team_ids"),
        urgencies: query.strings("urgencies"),
        user_ids: query.strings("user_ids"),
        analytics,
        custom_fields,
    };
    query.finish();
    selector
}

fn schedules(options: &mut Options<'_, '_>) -> SchedulesSelector {
    let mut query = options.query_parameters();
    let selector = SchedulesSelector {
        include: query.strings("include"),
        time_zone: query.string("time_zone"),
        since_months: query.whole_number("since"),
        until_months: query.whole_number("until"),
    };
    query.finish();
    selector
}

fn oncalls(options: &mut Options<'_, '_>) -> OncallsSelector {
    let mut query = options.query_parameters();
    let selector = OncallsSelector {
        include: query
            .optional_strings("include")
            .unwrap_or_else(|| vec!["users".to_owned()]),
        since_months: query.whole_number("since").unwrap_or(0),
        until_months: query.whole_number("until").unwrap_or(3),
        user_ids: query.strings("user_ids"),
        escalation_policy_ids: query.strings("escalation_policy_ids"),
        schedule_ids: query.strings("schedule_ids"),
        time_zone: query.string("time_zone"),
        earliest: query.optional_boolean("earliest"),
    };
    query.finish();
    selector
}

fn escalation_policies(options: &mut Options<'_, '_>) -> EscalationPoliciesSelector {
    let attach_oncall_users = options.boolean("attachOncallUsers", true);
    let mut query = options.query_parameters();
    let selector = EscalationPoliciesSelector {
        include: query.strings("include"),
        team_ids: query.strings("team_ids"),
        user_ids: query.strings("user_ids"),
        attach_oncall_users,
    };
    query.finish();
    selector
}

/// The selector object, remembering which keys were asked for.
struct Options<'a, 'r> {
    reader: &'a mut Reader<'r>,
    path: &'a Path,
    selector: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'r> Options<'_, 'r> {
    fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        self.known.push(key);
        self.reader
            .boolean(&self.path.key(key), self.selector.get(key), default)
    }

    fn whole_number(&mut self, key: &'static str) -> Option<u32> {
        self.known.push(key);
        self.reader
            .whole_number(&self.path.key(key), self.selector.get(key))
    }

    fn query_parameters(&mut self) -> QueryParameters<'_, 'r> {
        const KEY: &str = "apiQueryParams";
        self.known.push(KEY);
        let path = self.path.key(KEY);
        let object = self.reader.object(&path, self.selector.get(KEY));
        QueryParameters {
            reader: self.reader,
            path,
            rest: object
                .into_iter()
                .flatten()
                .map(|(key, value)| (key.as_str(), value))
                .collect(),
            known: Vec::new(),
        }
    }

    fn finish(self) {
        self.reader
            .known_keys(self.path, self.selector, &self.known);
    }
}

/// `apiQueryParams`: every key that is read leaves `rest`; what stays is unknown.
struct QueryParameters<'a, 'r> {
    reader: &'a mut Reader<'r>,
    path: Path,
    rest: Vec<(&'a str, &'a Value)>,
    known: Vec<&'static str>,
}

impl<'a> QueryParameters<'a, '_> {
    fn take(&mut self, name: &'static str) -> (Path, Option<&'a Value>) {
        self.known.push(name);
        match self
            .rest
            .iter()
            .position(|(key, _)| camel_case(key) == camel_case(name))
        {
            Some(place) => {
                let (key, value) = self.rest.remove(place);
                (self.path.key(key), Some(value))
            }
            None => (self.path.key(name), None),
        }
    }

    fn string(&mut self, name: &'static str) -> Option<String> {
        let (path, value) = self.take(name);
        self.reader.string(&path, value)
    }

    fn optional_strings(&mut self, name: &'static str) -> Option<Vec<String>> {
        let (path, value) = self.take(name);
        self.reader.strings(&path, value)
    }

    fn strings(&mut self, name: &'static str) -> Vec<String> {
        self.optional_strings(name).unwrap_or_default()
    }

    fn whole_number(&mut self, name: &'static str) -> Option<u32> {
        let (path, value) = self.take(name);
        self.reader.whole_number(&path, value)
    }

    fn optional_boolean(&mut self, name: &'static str) -> Option<bool> {
        let (path, value) = self.take(name);
        let value = value.filter(|value| !value.is_null())?;
        Some(self.reader.boolean(&path, Some(value), false))
    }

    /// One of a few words.
    fn choice(&mut self, name: &'static str, choices: &[&str]) -> Option<String> {
        let (path, value) = self.take(name);
        let written = self.reader.string(&path, value)?;
        if choices.contains(&written.as_str()) {
            return Some(written);
        }
        let expected = match choices {
            [only] => format!("`{only}`"),
            choices => format!("one of {}", choices.join(", ")),
        };
        let hint = choices
            .iter()
            .find(|choice| choice.eq_ignore_ascii_case(&written))
            .copied()
            .or_else(|| nearest(&written, choices))
            .map(|meant| format!("did you mean `{meant}`?"));
        self.reader.problem(
            &path,
            format!("expected {expected}, found {written:?}"),
            hint,
        );
        None
    }

    fn finish(self) {
        for (key, _) in self.rest {
            let meant = nearest(key, &self.known)
                .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            let message = format!("this query parameter is not known and has no effect{meant}");
            self.reader.warning(&self.path.key(key), &message);
        }
    }
}

/// `team_ids` → `teamIds`; what is camelCase already stays as it is.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel_case = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut characters = part.chars();
        camel_case.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel_case.push_str(characters.as_str());
    }
    camel_case
}
