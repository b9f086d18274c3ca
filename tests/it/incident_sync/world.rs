//! A small company for the incident sync: one status page, a few components, and
//! two PagerDuty accounts that are one simulator each.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use portolan::reconcile::{Ask, Mode, Reconciler, Report};
use portolan::sandbox::{
    Clock, OpsgenieSimulator, PagerdutySimulator, Sandbox, SandboxOptions, StatuspageSimulator,
};
use portolan::settings::{self, Inputs, Settings};
use portolan::store::{IN_MEMORY, Store};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(super) const PAGE: &str = "p9k3w8s2v5t1";
pub(crate) const COMPONENTS: [(&str, &str); 5] = [
    ("c0checkout00", "Checkout"),
    ("c1search0000", "Search"),
    ("c2login00000", "Login"),
    ("c3mail000000", "Mail"),
    ("c4reports000", "Reports"),
];

/// Both sides, simulated.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// The PagerDuty account of other people: the same program, other data.
    pub(super) second: Sandbox,
    pub(super) clock: Clock,
}

impl World {
    /// A page whose components are all operational, and nobody on call has
    /// anything to do.
    pub(crate) async fn start() -> Self {
        Self::start_at(Clock::fixed("2026-03-02T09:00:00Z".parse().unwrap())).await
    }

    pub(crate) async fn start_at(clock: Clock) -> Self {
        let options = SandboxOptions::default();
        let sandbox = Sandbox::start_at(options, clock.clone()).await.unwrap();
        let second = Sandbox::start_at(options, clock.clone()).await.unwrap();
        let world = Self {
            sandbox,
            second,
            clock,
        };
        world.clear();
        world
    }

    pub(super) fn clear(&self) {
        self.statuspage().clear();
        self.statuspage().insert(
            "statuspage",
            &json!({
                "id": PAGE, "name": "Halyard", "url": "https://status.example.com",
                "domain": null, "time_zone": "UTC", "created_at": "2024-01-01T00:00:00Z",
                "updated_at": "2024-01-01T00:00:00Z",
            }),
        );
        for (id, name) in COMPONENTS {
            self.add_component(id, name);
        }
        self.pagerduty().clear();
        self.second.pagerduty.clear();
        self.opsgenie().clear();
    }

    pub(super) fn add_component(&self, id: &str, name: &str) {
        self.statuspage().insert(
            "component",
            &json!({
                "id": id, "page_id": PAGE, "group_id": null, "name": name, "group": false,
                "description": null, "position": 1, "status": "operational", "showcase": true,
                "only_show_if_degraded": false, "automation_email": null, "start_date": null,
                "created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z",
            }),
        );
    }

    pub(super) fn statuspage(&self) -> &StatuspageSimulator {
        &self.sandbox.statuspage
    }

    pub(crate) fn pagerduty(&self) -> &PagerdutySimulator {
        &self.sandbox.pagerduty
    }

    pub(super) fn opsgenie(&self) -> &OpsgenieSimulator {
        &self.sandbox.opsgenie
    }

    /// An incident that a monitor opened, tagged as Datadog does.
    pub(crate) fn page_someone(&self, id: &str, components: &[&str]) {
        let tags: Vec<String> = components
            .iter()
            .map(|component| format!("component:{component}"))
            .collect();
        self.pagerduty().open_incident(
            id,
            "5xx above threshold",
            json!({"type": "api", "details": {"tags": format!("env:prod,{}", tags.join(","))}}),
        );
    }

    /// The same, and somebody acknowledged it.
    pub(crate) fn acknowledged(&self, id: &str, components: &[&str]) {
        self.page_someone(id, components);
        assert!(self.pagerduty().acknowledge(id));
    }

    /// The environment of an installation of Pagerstatus, pointed at the
    /// simulators.
    pub(crate) fn pagerstatus(&self) -> Vec<(String, String)> {
        let base = |url: url::Url| url.as_str().trim_end_matches('/').to_owned();
        let config = |name: &str| format!("OCEAN__INTEGRATION__CONFIG__{name}");
        vec![
            ("STATUSPAGE_PAGE".to_owned(), PAGE.to_owned()),
            (
                "STATUSPAGE_KEY".to_owned(),
                portolan::sandbox::statuspage::API_KEY.to_owned(),
            ),
            (
                "PD_ACCOUNT_HUGOPS".to_owned(),
                portolan::sandbox::pagerduty::TOKEN.to_owned(),
            ),
            (config("STATUSPAGE_HOST"), base(self.statuspage().url())),
            (config("PAGERDUTY_API_URL"), base(self.pagerduty().url())),
            (
                "OCEAN__RATE_LIMITS__STATUSPAGE_PER_MINUTE".to_owned(),
                "60000".to_owned(),
            ),
            (
                "OCEAN__RATE_LIMITS__PAGERDUTY_PER_MINUTE".to_owned(),
                "60000".to_owned(),
            ),
        ]
    }

    /// Statuspage, and PagerDuty and Opsgenie on the other side, with this
    /// document, and without Port.
    pub(crate) fn environment(&self, document: &Value) -> Vec<(String, String)> {
        let base = |url: url::Url| url.as_str().trim_end_matches('/').to_owned();
        let accounts = json!([
            {
                "name": "one", "token": portolan::sandbox::pagerduty::TOKEN,
                "api_url": base(self.pagerduty().url()),
            },
            {
                "name": "two", "token": SECOND_TOKEN,
                "api_url": base(self.second.pagerduty.url()),
            },
        ]);
        self.second.pagerduty.accept_token(SECOND_TOKEN);
        let config = [
            (
                "STATUSPAGE_API_KEY",
                portolan::sandbox::statuspage::API_KEY.to_owned(),
            ),
            ("STATUSPAGE_HOST", base(self.statuspage().url())),
            ("PAGERDUTY_ACCOUNTS", accounts.to_string()),
            (
                "OPSGENIE_API_TOKEN",
                portolan::sandbox::opsgenie::API_TOKEN.to_owned(),
            ),
            ("OPSGENIE_API_URL", base(self.opsgenie().url())),
            ("INCIDENT_SYNC", document.to_string()),
        ];
        let mut environment: Vec<(String, String)> = config
            .into_iter()
            .map(|(name, value)| (format!("OCEAN__INTEGRATION__CONFIG__{name}"), value))
            .collect();
        for api in ["STATUSPAGE", "PAGERDUTY"] {
            environment.push((
                format!("OCEAN__RATE_LIMITS__{api}_PER_MINUTE"),
                "60000".to_owned(),
            ));
        }
        environment
    }

    /// A reconciler inside of the test, by the world's clock.
    pub(super) async fn reconciler(&self, document: &Value) -> Reconciler {
        self.reconciler_of(&self.environment(document)).await
    }

    pub(super) async fn reconciler_of(&self, environment: &[(String, String)]) -> Reconciler {
        // Whoever is first installs it; that it is there is what counts.
        drop(rustls::crypto::ring::default_provider().install_default());
        let settings = settings_of(environment);
        let store = Store::open(IN_MEMORY.as_ref()).await;
        let clock = self.clock.clone();
        let (reconciler, warnings) = Reconciler::new(
            settings.incident_sync.as_ref().unwrap(),
            &settings.outbound,
            &settings.rate_limits,
            store,
        )
        .unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        reconciler.by_clock(Arc::new(move || clock.now()))
    }

    /// The unresolved incidents of the page: identifier, components, newest first.
    pub(crate) fn unresolved(&self) -> Vec<Value> {
        let mut incidents: Vec<Value> = self
            .statuspage()
            .objects("incident")
            .into_iter()
            .filter(|incident| {
                !["resolved", "postmortem", "completed"].contains(&text(incident, "status"))
            })
            .filter(|incident| incident["scheduled_for"].is_null())
            .collect();
        incidents.reverse();
        incidents
    }

    pub(super) fn incident(&self, id: &str) -> Value {
        self.statuspage().object("incident", id).unwrap()
    }

    pub(super) fn status_of(&self, component: &str) -> String {
        let component = self.statuspage().object("component", component).unwrap();
        text(&component, "status").to_owned()
    }

    /// Fails when two own incidents ever held one component, or when anything
    /// was asked of a vendor that it does not have.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        assert_eq!(self.statuspage().overlaps(), Vec::<String>::new());
        let problems = [self.sandbox.problems(), self.second.problems()].concat();
        assert_eq!(problems, Vec::<String>::new());
    }
}

pub(super) const SECOND_TOKEN: &str = "sandbox-second-pagerduty-token-5be2";

pub(super) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

pub(super) fn settings_of(environment: &[(String, String)]) -> Settings {
    let environment: BTreeMap<String, OsString> = environment
        .iter()
        .map(|(name, value)| (name.clone(), value.into()))
        .collect();
    let inputs = Inputs {
        environment,
        ..Inputs::default()
    };
    settings::load(inputs).unwrap().settings
}

/// One pass that changes things.
pub(super) async fn apply(reconciler: &Reconciler) -> Report {
    run(reconciler, Mode::Apply).await
}

/// One pass that only says what it would do.
pub(super) async fn look(reconciler: &Reconciler) -> Report {
    run(reconciler, Mode::Plan).await
}

async fn run(reconciler: &Reconciler, mode: Mode) -> Report {
    let ask = Ask {
        mode,
        with_subscribers: false,
    };
    reconciler.pass(ask, &CancellationToken::new()).await
}

/// The kinds of the steps, in order.
pub(super) fn kinds(report: &Report) -> Vec<&'static str> {
    report
        .pages
        .iter()
        .flat_map(|page| &page.steps)
        .map(|applied| applied.step.kind.as_str())
        .collect()
}

/// Why something was not done.
pub(super) fn reasons(report: &Report) -> Vec<&'static str> {
    report
        .pages
        .iter()
        .flat_map(|page| &page.withheld)
        .map(|withheld| withheld.reason.as_str())
        .collect()
}
