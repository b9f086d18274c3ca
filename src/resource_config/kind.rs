//! Which kinds of objects there are, and which one a document means.
//!
//! Statuspage's and Opsgenie's kinds are closed lists. PagerDuty's are open: any list
//! endpoint of its API can be mapped, so an unknown kind is believed, unless it
//! is so near a known endpoint that it must be a slip (`incident`).
//!
//! With several sources a kind only one of them has stays bare; a prefix
//! (`pagerduty.incidents`) settles what would be ambiguous.

use std::fmt;

use super::selector::{
    EscalationPoliciesSelector, IncidentsSelector, OncallsSelector, OpsgenieSearch,
    SchedulesSelector, ServicesSelector,
};
use crate::{document::nearest, settings::SourceName};

/// A kind of raw object, with what its selector asks for. Displays as the
/// kind's own name, without a source in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Statuspage(StatuspageKind),
    Pagerduty(PagerdutyKind),
    Opsgenie(OpsgenieKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatuspageKind {
    Statuspage,
    ComponentGroup,
    Component,
    Incident,
    IncidentUpdate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagerdutyKind {
    Services(ServicesSelector),
    Incidents(IncidentsSelector),
    Schedules(SchedulesSelector),
    Oncalls(OncallsSelector),
    EscalationPolicies(EscalationPoliciesSelector),
    /// Any other list endpoint, by its name.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpsgenieKind {
    Alert(OpsgenieSearch),
    Service,
    Incident(OpsgenieSearch),
    Team {
        /// Whether the teams' members are wanted.
        include_members: bool,
    },
    Schedule {
        /// Whether the schedules come with their rotations.
        expand_rotation: bool,
    },
    ScheduleOncall,
    User,
}

impl Kind {
    pub fn source(&self) -> SourceName {
        match self {
            Self::Statuspage(_) => SourceName::Statuspage,
            Self::Pagerduty(_) => SourceName::Pagerduty,
            Self::Opsgenie(_) => SourceName::Opsgenie,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statuspage(kind) => kind.fmt(formatter),
            Self::Pagerduty(kind) => kind.fmt(formatter),
            Self::Opsgenie(kind) => kind.fmt(formatter),
        }
    }
}

impl StatuspageKind {
    pub const ALL: [Self; 5] = [
        Self::Statuspage,
        Self::ComponentGroup,
        Self::Component,
        Self::Incident,
        Self::IncidentUpdate,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Statuspage => "statuspage",
            Self::ComponentGroup => "component_group",
            Self::Component => "component",
            Self::Incident => "incident",
            Self::IncidentUpdate => "incident_update",
        }
    }
}

impl fmt::Display for StatuspageKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PagerdutyKind {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Services(_) => "services",
            Self::Incidents(_) => "incidents",
            Self::Schedules(_) => "schedules",
            Self::Oncalls(_) => "oncalls",
            Self::EscalationPolicies(_) => "escalation_policies",
            Self::Other(endpoint) => endpoint,
        }
    }
}

impl fmt::Display for PagerdutyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl OpsgenieKind {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Alert(_) => "alert",
            Self::Service => "service",
            Self::Incident(_) => "incident",
            Self::Team { .. } => "team",
            Self::Schedule { .. } => "schedule",
            Self::ScheduleOncall => "schedule-oncall",
            Self::User => "user",
        }
    }
}

impl fmt::Display for OpsgenieKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const OPSGENIE_KINDS: &[&str] = &[
    "alert",
    "service",
    "incident",
    "team",
    "schedule",
    "schedule-oncall",
    "user",
];

/// The list endpoints PagerDuty documents; only ever used to tell a slip from
/// an endpoint this program has not heard of.
const PAGERDUTY_ENDPOINTS: &[&str] = &[
    "addons",
    "business_services",
    "escalation_policies",
    "event_orchestrations",
    "extension_schemas",
    "extensions",
    "incident_workflows",
    "incidents",
    "licenses",
    "log_entries",
    "maintenance_windows",
    "notifications",
    "oncalls",
    "priorities",
    "response_plays",
    "rulesets",
    "schedules",
    "services",
    "standards",
    "status_dashboards",
    "status_pages",
    "tags",
    "teams",
    "templates",
    "users",
    "vendors",
    "webhook_subscriptions",
];

/// A kind by name, before its selector has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KindName {
    Statuspage(StatuspageKind),
    Pagerduty(String),
    /// One of [`OPSGENIE_KINDS`].
    Opsgenie(&'static str),
}

/// A kind that no source has, or several have.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownKind {
    pub message: String,
    pub hint: Option<String>,
}

/// The source that a kind is of, where any may be on.
pub fn source_of(written: &str) -> Result<SourceName, UnknownKind> {
    resolve(written, &SourceName::ALL).map(|kind| match kind {
        KindName::Statuspage(_) => SourceName::Statuspage,
        KindName::Pagerduty(_) => SourceName::Pagerduty,
        KindName::Opsgenie(_) => SourceName::Opsgenie,
    })
}

/// The fewest sources that have these kinds, or as many of them as can be had.
pub(super) fn sources_of(kinds: &[&str]) -> Vec<SourceName> {
    use SourceName::{Opsgenie, Pagerduty, Statuspage};
    const CHOICES: [&[SourceName]; 7] = [
        &[Statuspage],
        &[Pagerduty],
        &[Opsgenie],
        &[Statuspage, Pagerduty],
        &[Statuspage, Opsgenie],
        &[Pagerduty, Opsgenie],
        &SourceName::ALL,
    ];
    let strangers = |sources: &&&[SourceName]| {
        let strange = |kind: &&&str| resolve(kind, sources).is_err();
        kinds.iter().filter(strange).count()
    };
    let fewest = CHOICES.iter().min_by_key(strangers);
    fewest.map_or_else(Vec::new, |sources| sources.to_vec())
}

/// Works out which kind of which source `written` means.
pub(super) fn resolve(written: &str, sources: &[SourceName]) -> Result<KindName, UnknownKind> {
    if let Some((prefix, name)) = written.split_once('.')
        && let Some(source) = SourceName::ALL
            .into_iter()
            .find(|source| source.as_str() == prefix)
    {
        if !sources.contains(&source) {
            return Err(not_on(written, source));
        }
        return exact(name, source)
            .or_else(|| open(name, source))
            .ok_or_else(|| unknown(name, &[source]));
    }
    let candidates: Vec<_> = sources
        .iter()
        .filter_map(|&source| Some((source, exact(written, source)?)))
        .collect();
    match candidates.as_slice() {
        [(_, kind)] => return Ok(kind.clone()),
        [] => {}
        several => {
            let names: Vec<_> = several
                .iter()
                .map(|(source, _)| format!("`{source}.{written}`"))
                .collect();
            return Err(UnknownKind {
                message: format!("several sources have a kind `{written}`"),
                hint: Some(format!("say which one: {}", names.join(" or "))),
            });
        }
    }
    if slip(written, sources).is_none() {
        let elsewhere = SourceName::ALL
            .into_iter()
            .find(|&source| exact(written, source).is_some());
        if let Some(source) = elsewhere {
            return Err(not_on(written, source));
        }
        if let Some(kind) = sources.iter().find_map(|&source| open(written, source)) {
            return Ok(kind);
        }
    }
    Err(unknown(written, sources))
}

fn exact(name: &str, source: SourceName) -> Option<KindName> {
    match source {
        SourceName::Statuspage => StatuspageKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .map(KindName::Statuspage),
        SourceName::Pagerduty => PAGERDUTY_ENDPOINTS
            .contains(&name)
            .then(|| KindName::Pagerduty(name.to_owned())),
        SourceName::Opsgenie => {
            // The original's own documents write it either way.
            let name = match name {
                "schedule-on-call" => "schedule-oncall",
                name => name,
            };
            let kind = OPSGENIE_KINDS.iter().find(|kind| **kind == name);
            kind.map(|kind| KindName::Opsgenie(kind))
        }
    }
}

/// A kind this program does not know but the source may have.
fn open(name: &str, source: SourceName) -> Option<KindName> {
    // It becomes part of a URL: nothing but a plain name may get there.
    let is_plain = !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_-".contains(character));
    let is_open = source == SourceName::Pagerduty;
    (is_open && is_plain && slip(name, &[source]).is_none())
        .then(|| KindName::Pagerduty(name.to_owned()))
}

fn known(sources: &[SourceName]) -> Vec<&'static str> {
    let mut names = Vec::new();
    if sources.contains(&SourceName::Statuspage) {
        names.extend(StatuspageKind::ALL.map(StatuspageKind::as_str));
    }
    if sources.contains(&SourceName::Pagerduty) {
        names.extend(PAGERDUTY_ENDPOINTS);
    }
    if sources.contains(&SourceName::Opsgenie) {
        names.extend(OPSGENIE_KINDS);
    }
    names
}

/// The known kind that was meant, when only spelling stands between.
fn slip(written: &str, sources: &[SourceName]) -> Option<&'static str> {
    let known = known(sources);
    let bare = |name: &str| {
        let name = name.to_lowercase().replace(['_', '-', ' '], "");
        match name.strip_suffix("ies") {
            Some(stem) => format!("{stem}y"),
            None => name.trim_end_matches('s').to_owned(),
        }
    };
    let same = known
        .iter()
        .copied()
        .find(|name| bare(name) == bare(written));
    same.or_else(|| {
        let near = nearest(written, &known)?;
        let allowed = if near.len() > 6 { 2 } else { 1 };
        (strsim::damerau_levenshtein(written, near) <= allowed).then_some(near)
    })
}

fn not_on(written: &str, source: SourceName) -> UnknownKind {
    UnknownKind {
        message: format!("`{written}` is a kind of {source}, which is not set up"),
        hint: Some(format!(
            "set the credentials of {source}, or remove this resource"
        )),
    }
}

fn unknown(written: &str, sources: &[SourceName]) -> UnknownKind {
    let kinds = known(sources);
    let hint = match slip(written, sources).or_else(|| nearest(written, &kinds)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if kinds.is_empty() => "no source is set up".to_owned(),
        None => format!("known are {}", kinds.join(", ")),
    };
    UnknownKind {
        message: format!("there is no kind `{written}`"),
        hint: Some(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUSPAGE: &[SourceName] = &[SourceName::Statuspage];
    const PAGERDUTY: &[SourceName] = &[SourceName::Pagerduty];
    const OPSGENIE: &[SourceName] = &[SourceName::Opsgenie];
    const BOTH: &[SourceName] = &[SourceName::Statuspage, SourceName::Pagerduty];
    const ALL: &[SourceName] = &SourceName::ALL;

    fn pagerduty(name: &str) -> KindName {
        KindName::Pagerduty(name.to_owned())
    }

    fn refused(written: &str, sources: &[SourceName]) -> String {
        let unknown = resolve(written, sources).unwrap_err();
        format!("{}; {}", unknown.message, unknown.hint.unwrap_or_default())
    }

    #[test]
    fn a_bare_kind_belongs_to_the_source_that_has_it() {
        assert_eq!(
            resolve("incident", BOTH),
            Ok(KindName::Statuspage(StatuspageKind::Incident))
        );
        assert_eq!(resolve("incidents", BOTH), Ok(pagerduty("incidents")));
        assert_eq!(resolve("users", PAGERDUTY), Ok(pagerduty("users")));
    }

    #[test]
    fn a_kind_may_be_qualified_by_its_source() {
        assert_eq!(
            resolve("pagerduty.incidents", BOTH),
            Ok(pagerduty("incidents"))
        );
        assert_eq!(
            resolve("statuspage.statuspage", BOTH),
            Ok(KindName::Statuspage(StatuspageKind::Statuspage))
        );
        assert_eq!(
            resolve("pagerduty.change_events", BOTH),
            Ok(pagerduty("change_events"))
        );
    }

    #[test]
    fn an_endpoint_pagerduty_may_have_is_believed() {
        assert_eq!(
            resolve("change_events", PAGERDUTY),
            Ok(pagerduty("change_events"))
        );
        assert_eq!(
            resolve("change_events", BOTH),
            Ok(pagerduty("change_events"))
        );
    }

    #[test]
    fn a_slip_is_refused_with_the_kind_that_was_meant() {
        for (written, meant) in [
            ("service", "services"),
            ("incident", "incidents"),
            ("escalation_policy", "escalation_policies"),
            ("escalation-policies", "escalation_policies"),
            ("user", "users"),
            ("on_call", "oncalls"),
            ("Incidents", "incidents"),
            ("shedules", "schedules"),
        ] {
            assert_eq!(
                refused(written, PAGERDUTY),
                format!("there is no kind `{written}`; did you mean `{meant}`?")
            );
        }
    }

    #[test]
    fn statuspage_has_its_kinds_and_no_others() {
        insta::assert_snapshot!(refused("incidents", STATUSPAGE), @"there is no kind `incidents`; did you mean `incident`?");
        insta::assert_snapshot!(refused("subscriber", STATUSPAGE), @"there is no kind `subscriber`; known are statuspage, component_group, component, incident, incident_update");
        insta::assert_snapshot!(refused("statuspage.incident_updates", BOTH), @"there is no kind `incident_updates`; did you mean `incident_update`?");
    }

    #[test]
    fn a_kind_of_a_source_that_is_off_says_so() {
        insta::assert_snapshot!(refused("component", PAGERDUTY), @"`component` is a kind of statuspage, which is not set up; set the credentials of statuspage, or remove this resource");
        insta::assert_snapshot!(refused("pagerduty.incidents", STATUSPAGE), @"`pagerduty.incidents` is a kind of pagerduty, which is not set up; set the credentials of pagerduty, or remove this resource");
    }

    #[test]
    fn a_kind_that_several_sources_have_must_be_qualified() {
        insta::assert_snapshot!(refused("incident", ALL), @"several sources have a kind `incident`; say which one: `statuspage.incident` or `opsgenie.incident`");
        assert_eq!(
            resolve("opsgenie.incident", ALL),
            Ok(KindName::Opsgenie("incident"))
        );
        assert_eq!(
            resolve("statuspage.incident", ALL),
            Ok(KindName::Statuspage(StatuspageKind::Incident))
        );
        assert_eq!(resolve("incidents", ALL), Ok(pagerduty("incidents")));
        assert_eq!(resolve("service", ALL), Ok(KindName::Opsgenie("service")));
    }

    #[test]
    fn kinds_tell_which_sources_a_document_is_for() {
        use SourceName::{Opsgenie, Pagerduty, Statuspage};
        for (kinds, sources) in [
            (&["incident", "component"][..], &[Statuspage][..]),
            (&["incident", "alert"], &[Opsgenie]),
            (&["incidents", "change_events"], &[Pagerduty]),
            (
                &["incident", "component", "incidents"],
                &[Statuspage, Pagerduty],
            ),
            (&["statuspage.incident", "alert"], &[Statuspage, Opsgenie]),
            (&["services", "shedules"], &[Pagerduty]),
        ] {
            assert_eq!(sources_of(kinds), sources, "{kinds:?}");
        }
        assert_eq!(source_of("oncalls"), Ok(Pagerduty));
        assert!(source_of("incident").is_err());
    }

    #[test]
    fn on_calls_of_schedules_are_written_either_way() {
        for written in [
            "schedule-oncall",
            "schedule-on-call",
            "opsgenie.schedule-on-call",
        ] {
            assert_eq!(
                resolve(written, OPSGENIE),
                Ok(KindName::Opsgenie("schedule-oncall")),
                "{written}"
            );
        }
    }

    #[test]
    fn opsgenie_has_its_kinds_and_no_others() {
        insta::assert_snapshot!(refused("alerts", OPSGENIE), @"there is no kind `alerts`; did you mean `alert`?");
        insta::assert_snapshot!(refused("escalation", OPSGENIE), @"there is no kind `escalation`; known are alert, service, incident, team, schedule, schedule-oncall, user");
        insta::assert_snapshot!(refused("alert", BOTH), @"`alert` is a kind of opsgenie, which is not set up; set the credentials of opsgenie, or remove this resource");
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_refused() {
        for written in ["", "../users", "services/P1/rules", "a b"] {
            assert!(resolve(written, PAGERDUTY).is_err(), "{written}");
        }
    }
}
