//! The laws of the reconciler, over invented days: whatever happens on both
//! sides, in whatever order, and however answers get lost.
//!
//! - After a pass that did everything it meant to, the next plan is empty.
//! - Two own incidents never hold one component, at no moment.
//! - What belongs to others, and what a human has taken over, is never written to.
//! - Once everything is quiet, the page says what is the case.

use std::collections::BTreeSet;
use std::time::Duration;

use portolan::reconcile::{Outcome, Reconciler, Report};
use portolan::sandbox::{Answer, Matcher};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::world::{COMPONENTS, PAGE, World, apply, kinds, look, text};

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A monitor opens an incident that concerns these components.
    Opened(BTreeSet<usize>),
    Acknowledged(Index),
    Unacknowledged(Index),
    Resolved(Index),
    /// A human writes in a public incident, and may resolve it with that.
    HumanWrote(Index, bool),
    HumanHandedBack(Index),
    /// Somebody else's public incident.
    OthersOpened(usize),
    OthersResolved(Index),
    MaintenanceBegan(usize),
    MaintenanceEnded,
    /// The answer to the next write gets lost; it may have been carried out.
    AnswerLost {
        carried_out: bool,
        patch: bool,
    },
    AccountAway,
    AccountBack,
    TimePassed(u16),
    /// The process is started anew and knows nothing.
    Restarted,
    Pass,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let components = prop::collection::btree_set(0..COMPONENTS.len(), 1..3);
    let event = prop_oneof![
        4 => components.prop_map(Event::Opened),
        5 => any::<Index>().prop_map(Event::Acknowledged),
        1 => any::<Index>().prop_map(Event::Unacknowledged),
        4 => any::<Index>().prop_map(Event::Resolved),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(which, over)| Event::HumanWrote(which, over)),
        1 => any::<Index>().prop_map(Event::HumanHandedBack),
        1 => (0..COMPONENTS.len()).prop_map(Event::OthersOpened),
        1 => any::<Index>().prop_map(Event::OthersResolved),
        1 => (0..COMPONENTS.len()).prop_map(Event::MaintenanceBegan),
        1 => Just(Event::MaintenanceEnded),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(carried_out, patch)| Event::AnswerLost { carried_out, patch }),
        1 => Just(Event::AccountAway),
        2 => Just(Event::AccountBack),
        2 => (1_u16..900).prop_map(Event::TimePassed),
        1 => Just(Event::Restarted),
        8 => Just(Event::Pass),
    ];
    prop::collection::vec(event, 4..28)
}

/// How incidents are grouped, and what the guards are.
fn documents() -> impl Strategy<Value = Value> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(by_incident, calm, reopens, beside)| {
            let group = if by_incident { "incident" } else { "component" };
            json!({
                "rules": [{
                    "name": "all", "source": "pagerduty", "group": group,
                    "components": "[.first_trigger_log_entry.channel.details.tags | scan(\"component:(\\\\w+)\")[0]]",
                }],
                "guards": {
                    "openAfter": if calm { "60s" } else { "0s" },
                    "resolveAfter": if calm { "120s" } else { "0s" },
                    "reopenWithin": if reopens { "10m" } else { "0s" },
                    "openBesideOthers": beside,
                },
            })
        },
    )
}

/// A day under way.
struct Day<'a> {
    world: &'a World,
    document: Value,
    reconciler: Reconciler,
    sources: usize,
    maintenance: Option<String>,
    /// What others wrote last, by incident: that has to stay the last word.
    last_words: Vec<(String, String)>,
    is_away: bool,
    had_humans: bool,
}

impl Day<'_> {
    async fn live(&mut self, events: Vec<Event>) -> Result<(), TestCaseError> {
        for event in events {
            self.happen(event).await?;
            self.check()?;
        }
        self.settle().await
    }

    async fn happen(&mut self, event: Event) -> Result<(), TestCaseError> {
        let world = self.world;
        match event {
            Event::Opened(components) => {
                let names: Vec<&str> = components
                    .iter()
                    .map(|&place| COMPONENTS[place].0)
                    .collect();
                self.sources += 1;
                world.page_someone(&format!("PX{}", self.sources), &names);
            }
            Event::Acknowledged(which) => {
                self.of_source(which, |world, id| world.pagerduty().acknowledge(id));
            }
            Event::Unacknowledged(which) => {
                self.of_source(which, |world, id| world.pagerduty().unacknowledge(id));
            }
            Event::Resolved(which) => {
                self.of_source(which, |world, id| world.pagerduty().resolve(id));
            }
            Event::HumanWrote(which, over) => {
                let unresolved = world.unresolved();
                if !unresolved.is_empty() {
                    let id = text(which.get(&unresolved), "id").to_owned();
                    let status = if over { "resolved" } else { "identified" };
                    let body = "An engineer writes.";
                    world.statuspage().human_update(&id, status, body);
                    self.said(&id, body);
                    self.had_humans = true;
                }
            }
            Event::HumanHandedBack(which) => {
                let taken_over: Vec<Value> = world
                    .unresolved()
                    .into_iter()
                    .filter(|incident| incident["metadata"]["portolan"].is_object())
                    .collect();
                if !taken_over.is_empty() {
                    let id = text(which.get(&taken_over), "id").to_owned();
                    world.statuspage().update("incident", &id, |incident| {
                        incident["metadata"]["portolan"]["hold"] = json!(false);
                    });
                    self.last_words.retain(|(known, _)| *known != id);
                }
            }
            Event::OthersOpened(component) => {
                let id = format!("others{}", world.statuspage().count("incident"));
                let component = COMPONENTS[component].0;
                world
                    .statuspage()
                    .insert("incident", &others_incident(world, &id, component));
                self.said(&id, "Somebody else looks into it.");
            }
            Event::OthersResolved(which) => {
                let others: Vec<Value> = world
                    .unresolved()
                    .into_iter()
                    .filter(|incident| text(incident, "id").starts_with("others"))
                    .collect();
                if !others.is_empty() {
                    let id = text(which.get(&others), "id").to_owned();
                    world
                        .statuspage()
                        .human_update(&id, "resolved", "It works again.");
                    self.said(&id, "It works again.");
                }
            }
            Event::MaintenanceBegan(component) => {
                if self.maintenance.is_none() {
                    let id = world
                        .statuspage()
                        .start_maintenance(PAGE, &[COMPONENTS[component].0]);
                    self.maintenance = Some(id);
                }
            }
            Event::MaintenanceEnded => {
                if let Some(id) = self.maintenance.take() {
                    world.statuspage().end_maintenance(&id);
                }
            }
            Event::AnswerLost { carried_out, patch } => {
                let method = if patch { "PATCH" } else { "POST" };
                let answer = if carried_out {
                    Answer::cut_mid_body()
                } else {
                    Answer::cut()
                };
                let writes = Matcher::new(method, "/v1/pages/*/incidents*");
                world.statuspage().fault(writes, answer, 1);
            }
            Event::AccountAway => {
                world
                    .pagerduty()
                    .revoke_token(portolan::sandbox::pagerduty::TOKEN);
                self.is_away = true;
            }
            Event::AccountBack => self.bring_back(),
            Event::TimePassed(seconds) => world.clock.advance(Duration::from_secs(seconds.into())),
            Event::Restarted => self.reconciler = world.reconciler(&self.document).await,
            Event::Pass => {
                self.pass().await?;
            }
        }
        Ok(())
    }

    fn of_source(&self, which: Index, change: impl Fn(&World, &str) -> bool) {
        if self.sources > 0 {
            // What is over already stays so.
            change(self.world, &format!("PX{}", which.index(self.sources) + 1));
        }
    }

    fn said(&mut self, incident: &str, body: &str) {
        self.last_words.retain(|(known, _)| known != incident);
        self.last_words.push((incident.to_owned(), body.to_owned()));
    }

    fn bring_back(&mut self) {
        self.world
            .pagerduty()
            .accept_token(portolan::sandbox::pagerduty::TOKEN);
        self.is_away = false;
    }

    /// A pass; and if it did all that it meant to, there is nothing left to do.
    async fn pass(&mut self) -> Result<Report, TestCaseError> {
        let report = apply(&self.reconciler).await;
        self.check()?;
        if self.is_away {
            let resolves = kinds(&report).contains(&"resolve");
            prop_assert!(!resolves, "resolved although an account could not be read");
        }
        let steps: Vec<_> = report.pages.iter().flat_map(|page| &page.steps).collect();
        if steps.iter().all(|step| step.outcome == Outcome::Done) {
            let next = look(&self.reconciler).await;
            prop_assert_eq!(
                kinds(&next),
                Vec::<&str>::new(),
                "after {:?} there is still: {:#?}",
                kinds(&report),
                next.pages
            );
        }
        Ok(report)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let overlaps = self.world.statuspage().overlaps();
        prop_assert_eq!(overlaps, Vec::<String>::new());
        for (id, words) in &self.last_words {
            let incident = self.world.incident(id);
            prop_assert_eq!(
                text(&incident["incident_updates"][0], "body"),
                words.as_str(),
                "somebody wrote after a human: {}",
                incident
            );
        }
        Ok(())
    }

    /// Everything is quiet, and the page comes to say what is the case.
    async fn settle(&mut self) -> Result<(), TestCaseError> {
        self.bring_back();
        self.world.statuspage().clear_faults();
        if let Some(id) = self.maintenance.take() {
            self.world.statuspage().end_maintenance(&id);
        }
        for _ in 0..6 {
            self.world.clock.advance(Duration::from_secs(150));
            self.pass().await?;
        }
        let report = look(&self.reconciler).await;
        prop_assert_eq!(kinds(&report), Vec::<&str>::new());
        if self.had_humans {
            return Ok(());
        }
        for (component, _) in COMPONENTS {
            let is_affected = self.is_affected(component);
            let holders: Vec<Value> = self
                .world
                .unresolved()
                .into_iter()
                .filter(|incident| holds(incident, component))
                .collect();
            let ours = holders
                .iter()
                .any(|incident| incident["metadata"]["portolan"].is_object());
            let others = holders
                .iter()
                .any(|incident| text(incident, "id").starts_with("others"));
            let beside = self.document["guards"]["openBesideOthers"] == true;
            if is_affected && (beside || !others) {
                prop_assert!(ours, "{component} is affected and not announced");
            }
            if !is_affected && !ours && !others {
                let status = self.world.status_of(component);
                prop_assert_eq!(status, "operational", "{} stayed behind", component);
            }
        }
        Ok(())
    }

    /// Whether an acknowledged source incident concerns the component.
    fn is_affected(&self, component: &str) -> bool {
        (1..=self.sources).any(|number| {
            let incident = self
                .world
                .pagerduty()
                .object("incidents", &format!("PX{number}"))
                .unwrap();
            let entry = text(&incident["first_trigger_log_entry"], "id").to_owned();
            let entry = self
                .world
                .pagerduty()
                .object("log_entries", &entry)
                .unwrap();
            incident["status"] == "acknowledged" && entry.to_string().contains(component)
        })
    }
}

fn holds(incident: &Value, component: &str) -> bool {
    let components = incident["components"].as_array().unwrap();
    components.iter().any(|one| one["id"] == component)
}

fn others_incident(world: &World, id: &str, component: &str) -> Value {
    let now = world.clock.now().to_string();
    let held = world.statuspage().object("component", component).unwrap();
    json!({
        "id": id, "page_id": PAGE, "name": "Somebody else's", "status": "investigating",
        "impact": "minor", "created_at": now, "updated_at": now, "resolved_at": null,
        "components": [held], "metadata": {}, "scheduled_for": null,
        "incident_updates": [{
            "id": format!("{id}u"), "incident_id": id, "status": "investigating",
            "body": "Somebody else looks into it.", "affected_components": null,
            "created_at": now, "updated_at": now, "display_at": now,
        }],
    })
}

#[test]
fn whatever_happens_the_page_says_what_is_the_case_and_never_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cases = std::env::var("PROPTEST_CASES").map_or(60, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&(documents(), events()), |(document, events)| {
        runtime.block_on(async {
            let world = World::start().await;
            let reconciler = world.reconciler(&document).await;
            let mut day = Day {
                world: &world,
                document,
                reconciler,
                sources: 0,
                maintenance: None,
                last_words: Vec::new(),
                is_away: false,
                had_humans: false,
            };
            day.live(events).await
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
