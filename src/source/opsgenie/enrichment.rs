//! What Opsgenie knows about an object in other places, set beside it.
//!
//! | key | on | what |
//! |---|---|---|
//! | `__team` | services | the team that owns the service, with its members |
//! | `__incidents` | services | the incidents that impact the service |
//! | `__oncalls` | services | who is on call by the schedule of the service's team |
//! | `__impactedServices` | incidents | the services that the incident impacts |
//! | `__relatedIncident` | alerts | the incident that the alert belongs to |
//! | `__members` | teams | the members of the team |
//! | `__currentOncalls` | schedules | who is on call by the schedule |
//!
//! Only what an expression can read is fetched. What could not be fetched is
//! said once and left out, so that Port keeps what it knew: it is never sent as
//! null. Null means that there is none.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::sync::Arc;

use futures_util::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::shared::{AT_A_TIME, Answer, Associations, Details, Kept};
use crate::api::{OpsgenieClient, OpsgenieList, Worth};
use crate::causes::one_line;
use crate::jq::Step;
use crate::mapping::{Column, RawBatch};
use crate::resource_config::{OpsgenieKind, ResourceConfig};
use crate::source::said::Said;

/// One enrichment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Enrichment {
    Team,
    Incidents,
    Oncalls,
    ImpactedServices,
    RelatedIncident,
    Members,
    CurrentOncalls,
}

impl Enrichment {
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Team => "__team",
            Self::Incidents => "__incidents",
            Self::Oncalls => "__oncalls",
            Self::ImpactedServices => "__impactedServices",
            Self::RelatedIncident => "__relatedIncident",
            Self::Members => "__members",
            Self::CurrentOncalls => "__currentOncalls",
        }
    }

    /// As messages name what is fetched.
    const fn subject(self) -> &'static str {
        match self {
            Self::Team | Self::Members => "teams",
            Self::Incidents => "the incidents of services",
            Self::Oncalls | Self::CurrentOncalls => "on-calls",
            Self::ImpactedServices => "the services of incidents",
            Self::RelatedIncident => "the incidents of alerts",
        }
    }

    /// The list that it needs whole.
    pub(super) const fn list(self) -> Option<OpsgenieList> {
        match self {
            Self::Incidents | Self::RelatedIncident => Some(OpsgenieList::Incidents),
            Self::ImpactedServices => Some(OpsgenieList::Services),
            Self::Oncalls => Some(OpsgenieList::Schedules),
            Self::Team | Self::Members | Self::CurrentOncalls => None,
        }
    }

    /// What the resource config's expressions can read. The selector's flags
    /// decide first.
    pub(super) fn wanted_by(config: &ResourceConfig, kind: &OpsgenieKind) -> Vec<Self> {
        let offered: &[Self] = match kind {
            OpsgenieKind::Service => &[Self::Team, Self::Incidents, Self::Oncalls],
            OpsgenieKind::Incident(_) => &[Self::ImpactedServices],
            OpsgenieKind::Alert(_) => &[Self::RelatedIncident],
            OpsgenieKind::Team {
                include_members: true,
            } => &[Self::Members],
            OpsgenieKind::ScheduleOncall => &[Self::CurrentOncalls],
            OpsgenieKind::Team {
                include_members: false,
            }
            | OpsgenieKind::Schedule { .. }
            | OpsgenieKind::User => &[],
        };
        let reads =
            |enrichment: &Self| config.may_read(&[Step::Key(Cow::Borrowed(enrichment.key()))]);
        offered.iter().copied().filter(reads).collect()
    }
}

/// Fetches enrichment, each upstream object once a resync.
pub(super) struct Enricher {
    client: Arc<OpsgenieClient>,
    /// Before it there was nothing asked for.
    pub(super) began: Timestamp,
    incidents: Kept,
    services: Kept,
    schedules: Kept,
    associations: OnceCell<Associations>,
    teams: Details,
    oncalls: Details,
    said: Arc<Said>,
}

/// A column's values: none where it could not be fetched.
type Values = Vec<Option<Value>>;

impl Enricher {
    /// `worth`: of each list that is kept, whether it is a dataset as well.
    pub(super) fn new(client: Arc<OpsgenieClient>, worth: impl Fn(OpsgenieList) -> Worth) -> Self {
        let kept = |list| Kept::new(list, worth(list));
        Self {
            client,
            began: Timestamp::now(),
            incidents: kept(OpsgenieList::Incidents),
            services: kept(OpsgenieList::Services),
            schedules: kept(OpsgenieList::Schedules),
            associations: OnceCell::new(),
            teams: Details::default(),
            oncalls: Details::default(),
            said: Arc::default(),
        }
    }

    /// With others who say the same.
    pub(super) fn saying_through(self, said: Arc<Said>) -> Self {
        Self { said, ..self }
    }

    /// Where a whole list is kept.
    pub(super) const fn kept(&self, list: OpsgenieList) -> Option<&Kept> {
        match list {
            OpsgenieList::Incidents => Some(&self.incidents),
            OpsgenieList::Services => Some(&self.services),
            OpsgenieList::Schedules => Some(&self.schedules),
            _ => None,
        }
    }

    /// The objects with everything `wanted` beside them.
    pub(super) async fn enrich(&self, objects: Vec<Value>, wanted: &[Enrichment]) -> RawBatch {
        let mut columns = Vec::with_capacity(wanted.len());
        for enrichment in wanted {
            let values = match enrichment {
                Enrichment::Team => self.teams_of(&objects).await,
                Enrichment::Incidents => self.incidents_of(&objects).await,
                Enrichment::Oncalls => self.oncalls_of_services(&objects).await,
                Enrichment::ImpactedServices => self.impacted_services(&objects).await,
                Enrichment::RelatedIncident => self.related_incidents(&objects).await,
                Enrichment::Members => self.members(&objects).await,
                Enrichment::CurrentOncalls => self.current_oncalls(&objects).await,
            };
            columns.push(Column {
                key: enrichment.key(),
                values,
            });
        }
        RawBatch {
            objects,
            columns,
            ..RawBatch::default()
        }
    }

    async fn teams_of(&self, services: &[Value]) -> Values {
        let of_service = async |service: &Value| match owner_of(service) {
            Some(id) => self.team(id, Enrichment::Team).await,
            None => Some(Value::Null),
        };
        each(services, of_service).await
    }

    async fn members(&self, teams: &[Value]) -> Values {
        let of_team = async |team: &Value| {
            let mut team = self.team(text(team, "id")?, Enrichment::Members).await?;
            Some(match team.get_mut("members").map(Value::take) {
                Some(members @ Value::Array(_)) => members,
                _ => json!([]),
            })
        };
        each(teams, of_team).await
    }

    async fn current_oncalls(&self, schedules: &[Value]) -> Values {
        let of_schedule = async |schedule: &Value| {
            let id = text(schedule, "id")?;
            self.oncalls(id, Enrichment::CurrentOncalls).await
        };
        each(schedules, of_schedule).await
    }

    /// Who is on call by the first schedule that the service's team owns.
    async fn oncalls_of_services(&self, services: &[Value]) -> Values {
        let schedules = match self.schedules.get(&self.client).await {
            Ok(schedules) => schedules,
            Err(error) => {
                self.say(Enrichment::Oncalls, &error);
                return vec![None; services.len()];
            }
        };
        let mut of_teams: HashMap<&str, &str> = HashMap::new();
        let mut ownerless = Vec::new();
        for schedule in schedules.iter() {
            let Some(id) = text(schedule, "id") else {
                continue;
            };
            match schedule.get("ownerTeam").and_then(|team| text(team, "id")) {
                Some(team) => {
                    of_teams.entry(team).or_insert(id);
                }
                None => ownerless.push(text(schedule, "name").unwrap_or(id)),
            }
        }
        let of_service = async |service: &Value| {
            let Some(team) = owner_of(service) else {
                return Some(Value::Null);
            };
            match of_teams.get(team) {
                Some(schedule) => self.oncalls(schedule, Enrichment::Oncalls).await,
                None if ownerless.is_empty() => Some(Value::Null),
                // It may have been this team's.
                None => {
                    self.say_ownerless(&ownerless);
                    None
                }
            }
        };
        each(services, of_service).await
    }

    /// The incidents of each service, the newest first.
    async fn incidents_of(&self, services: &[Value]) -> Values {
        let incidents = match self.incidents.get(&self.client).await {
            Ok(incidents) => incidents,
            Err(error) => {
                self.say(Enrichment::Incidents, &error);
                return vec![None; services.len()];
            }
        };
        let mut of_services: HashMap<&str, Vec<Value>> = services
            .iter()
            .filter_map(|service| Some((text(service, "id")?, Vec::new())))
            .collect();
        for incident in incidents.iter().rev() {
            let impacted: BTreeSet<&str> = impacted(incident).collect();
            for service in impacted {
                if let Some(of_service) = of_services.get_mut(service) {
                    of_service.push(incident.clone());
                }
            }
        }
        services
            .iter()
            .map(|service| {
                let incidents = of_services.get(text(service, "id")?)?;
                Some(Value::Array(incidents.clone()))
            })
            .collect()
    }

    /// The services of each incident, without those that are gone.
    async fn impacted_services(&self, incidents: &[Value]) -> Values {
        let services = match self.services.get(&self.client).await {
            Ok(services) => services,
            Err(error) => {
                self.say(Enrichment::ImpactedServices, &error);
                return vec![None; incidents.len()];
            }
        };
        let needed: BTreeSet<&str> = incidents.iter().flat_map(impacted).collect();
        let known: HashMap<&str, &Value> = services
            .iter()
            .filter_map(|service| Some((text(service, "id")?, service)))
            .filter(|(id, _)| needed.contains(id))
            .collect();
        incidents
            .iter()
            .map(|incident| {
                let services = impacted(incident).filter_map(|id| known.get(id));
                Some(services.map(|service| (*service).clone()).collect())
            })
            .collect()
    }

    /// The incident among whose alerts each alert is.
    pub(super) async fn related_incidents(&self, alerts: &[Value]) -> Values {
        let incidents = match self.incidents.get(&self.client).await {
            Ok(incidents) => incidents,
            Err(error) => {
                self.say(Enrichment::RelatedIncident, &error);
                return vec![None; alerts.len()];
            }
        };
        let associations = self
            .associations
            .get_or_init(|| Associations::of(&self.client, &incidents))
            .await;
        if let Some(error) = &associations.unknown {
            self.say(Enrichment::RelatedIncident, error);
        }
        alerts
            .iter()
            .map(|alert| {
                let place = associations.incidents.get(text(alert, "id")?);
                match place.and_then(|place| incidents.get(*place)) {
                    Some(incident) => Some(incident.clone()),
                    // No incident has it, which is knowledge only where all
                    // were asked.
                    None => associations.unknown.is_none().then_some(Value::Null),
                }
            })
            .collect()
    }

    async fn team(&self, id: &str, enrichment: Enrichment) -> Option<Value> {
        let client = Arc::clone(&self.client);
        let ask = |id: String| async move { client.team(&id).await };
        let answer = self.teams.get(id, ask).await?;
        self.usable(answer, &format!("the team {id}"), enrichment)
    }

    async fn oncalls(&self, schedule: &str, enrichment: Enrichment) -> Option<Value> {
        let client = Arc::clone(&self.client);
        let ask = |id: String| async move { client.oncalls(&id).await };
        let answer = self.oncalls.get(schedule, ask).await?;
        self.usable(answer, &format!("the schedule {schedule}"), enrichment)
    }

    /// The object that was asked for, if there is one.
    fn usable(&self, answer: Answer, what: &str, enrichment: Enrichment) -> Option<Value> {
        match answer {
            Ok(Some(object)) => Some(object.value()),
            Ok(None) => {
                self.say_gone(what, enrichment);
                None
            }
            Err(error) => {
                self.say(enrichment, &error);
                None
            }
        }
    }

    /// Says once a resync that an enrichment is missing.
    fn say(&self, enrichment: Enrichment, error: &dyn Error) {
        let what = enrichment.subject();
        if self.is_news(what) {
            tracing::warn!(
                error = %one_line(error),
                "Could not fetch {what} from Opsgenie: {}; the fields that need them keep their values in Port",
                one_line(error)
            );
        }
    }

    /// Says once a resync that something went between two looks.
    fn say_gone(&self, what: &str, enrichment: Enrichment) {
        let is_news = self.is_news(match enrichment {
            Enrichment::Team | Enrichment::Members => "a team is gone",
            _ => "a schedule is gone",
        });
        if is_news {
            tracing::warn!(
                "Opsgenie no longer has {what}, which something still names; the fields that need `{}` keep their values in Port",
                enrichment.key()
            );
        } else {
            tracing::debug!("Opsgenie no longer has {what}, which something still names");
        }
    }

    /// Says once a resync that it is not known whose some schedules are.
    fn say_ownerless(&self, schedules: &[&str]) {
        if self.is_news("ownerless schedules") {
            let names: Vec<_> = schedules
                .iter()
                .take(5)
                .map(|name| format!("`{name}`"))
                .collect();
            tracing::warn!(
                count = schedules.len(),
                "Opsgenie has schedules without an owner team ({}); services of teams without a schedule keep their on-calls in Port",
                names.join(", ")
            );
        }
    }

    fn is_news(&self, what: &'static str) -> bool {
        self.said.is_news(what)
    }
}

/// A value for each object, in their order.
async fn each<'objects, Fetch>(
    objects: &'objects [Value],
    fetch: impl Fn(&'objects Value) -> Fetch,
) -> Values
where
    Fetch: Future<Output = Option<Value>>,
{
    let requests: Vec<_> = objects.iter().map(fetch).collect();
    futures_util::stream::iter(requests)
        .buffered(AT_A_TIME)
        .collect()
        .await
}

/// The team that owns a service.
fn owner_of(service: &Value) -> Option<&str> {
    text(service, "teamId")
}

/// The identifiers of the services that an incident impacts.
fn impacted(incident: &Value) -> impl Iterator<Item = &str> {
    let services = incident.get("impactedServices").and_then(Value::as_array);
    services.into_iter().flatten().filter_map(Value::as_str)
}

/// A text that says something.
fn text<'object>(object: &'object Value, key: &str) -> Option<&'object str> {
    let text = object.get(key)?.as_str()?;
    (!text.is_empty()).then_some(text)
}
