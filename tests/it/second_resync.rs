//! A resync after the first writes what changed, deletes what is gone, and
//! leaves Port as a first one would.

use portolan::catalog::Defaults;
use portolan::sandbox::{DatasetSize, IDENTIFIER, Matcher, Sandbox, SandboxOptions};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::catalog::{assert_same, catalog, changed, deleted, gone, written};
use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan};
use crate::upstream::live_through_a_day;

/// One installation of the program: with one source or with all.
struct Installation {
    sandbox: Sandbox,
    environment: Vec<(String, String)>,
    mapping: Value,
}

impl Installation {
    /// Before its first start, but for the mapping: the default one, with or
    /// without `createMissingRelatedEntities`.
    async fn new(dataset: DatasetSize, sources: &[SourceName], create_missing: bool) -> Self {
        let options = SandboxOptions {
            dataset,
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let environment = match sources {
            [source] => sandbox.environment_for(*source),
            _ => sandbox.environment(),
        };
        let mut mapping = Defaults::embedded(sources).unwrap().mapping;
        mapping["createMissingRelatedEntities"] = create_missing.into();
        let installation = Self {
            sandbox,
            environment,
            mapping,
        };
        installation.empty_port();
        installation
    }

    /// As it was before the first start.
    fn empty_port(&self) {
        self.sandbox.port.clear();
        self.sandbox
            .port
            .insert_integration(IDENTIFIER, &json!({"config": self.mapping}));
    }

    async fn resync(&self) -> Outcome {
        self.sandbox.clear_requests();
        let outcome = portolan(&["run"], &self.environment).await;
        assert!(self.sandbox.problems().is_empty());
        outcome.expect_code(0)
    }
}

/// Resyncs, lives through some days and resyncs after each.
async fn follow(dataset: DatasetSize, sources: &[SourceName], create_missing: bool, days: &[u64]) {
    let installation = Installation::new(dataset, sources, create_missing).await;
    let sandbox = &installation.sandbox;
    installation.resync().await;
    let mut before = catalog(sandbox);
    for &day in days {
        let when = format!("day {day} of {sources:?}, creating what is missing: {create_missing}");
        live_through_a_day(sandbox, day);

        installation.resync().await;
        let after = catalog(sandbox);
        let (wrote, removed) = (written(sandbox), deleted(sandbox));
        // Once more, with nothing new.
        installation.resync().await;
        assert_eq!(written(sandbox).len(), 0, "{when}: {:?}", written(sandbox));
        assert_eq!(deleted(sandbox).len(), 0, "{when}: {:?}", deleted(sandbox));
        assert_same(&catalog(sandbox), &after, &when);

        installation.empty_port();
        installation.resync().await;
        let first = catalog(sandbox);
        assert_same(&after, &first, &when);
        assert_eq!(wrote, changed(&before, &after), "{when}");
        let gone = gone(&before, &after);
        assert!(!gone.is_empty(), "{when}");
        // Port may delete along with an entity what relates to it.
        assert!(removed.is_subset(&gone), "{when}: {removed:?}");
        before = first;
    }
}

#[tokio::test]
async fn of_all_sources_a_second_resync_does_what_changed_and_no_more() {
    follow(DatasetSize::Small, &SourceName::ALL, true, &[1, 2, 3]).await;
    // Opsgenie's alerts relate to incidents that its default mapping does not
    // read, closed ones: it needs Port to create what is missing.
    let others = [SourceName::Statuspage, SourceName::Pagerduty];
    follow(DatasetSize::Small, &others, false, &[1, 2, 3]).await;
}

#[tokio::test]
async fn of_statuspage_a_second_resync_does_what_changed_and_no_more() {
    for create_missing in [true, false] {
        let sources = [SourceName::Statuspage];
        follow(DatasetSize::Small, &sources, create_missing, &[4, 5]).await;
    }
}

#[tokio::test]
async fn of_pagerduty_a_second_resync_does_what_changed_and_no_more() {
    for create_missing in [true, false] {
        let sources = [SourceName::Pagerduty];
        follow(DatasetSize::Small, &sources, create_missing, &[6, 7]).await;
    }
}

#[tokio::test]
async fn of_opsgenie_a_second_resync_does_what_changed_and_no_more() {
    let sources = [SourceName::Opsgenie];
    follow(DatasetSize::Small, &sources, true, &[9, 10]).await;
}

#[tokio::test]
async fn of_a_larger_company_a_second_resync_does_what_changed_and_no_more() {
    follow(DatasetSize::Medium, &SourceName::ALL, true, &[8]).await;
}

#[tokio::test]
async fn without_changes_few_questions_are_asked() {
    const COMPONENTS: usize = 8_000;
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for number in 0..COMPONENTS {
        let id = format!("c{number}");
        let component = json!({"id": id, "page_id": "page", "name": id, "group": false});
        sandbox.statuspage.insert("component", &component);
    }
    blueprint(&sandbox, "thing", &[("page", "string")], &[]);
    let mappings = json!({
        "identifier": ".id", "title": ".name", "blueprint": "\"thing\"",
        "properties": {"page": ".page_id"},
    });
    install(
        &sandbox,
        &json!({"resources": [resource("component", &mappings)]}),
    );
    let environment = sandbox.environment_for(SourceName::Statuspage);
    portolan(&["run"], &environment).await.expect_code(0);
    assert_eq!(sandbox.port.entities("thing").len(), COMPONENTS);
    sandbox.clear_requests();

    portolan(&["run"], &environment).await.expect_code(0);

    assert_eq!(
        sandbox
            .port
            .requested(&Matcher::path("/v1/blueprints/*/entities/bulk")),
        0
    );
    assert!(deleted(&sandbox).is_empty());
    let requests = sandbox.port.requested(&Matcher::any());
    assert!(
        requests * 10 <= COMPONENTS / 20,
        "{requests} requests to Port for {COMPONENTS} entities"
    );
}
