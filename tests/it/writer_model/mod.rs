//! The writer leaves in Port what a sequential one would: one that writes an
//! object after the other, in the order of resource configs and of arrival.
//!
//! Whatever the interleaving of pages, the bounds of the requests, and what
//! goes wrong on the way. What was refused is only counted: which of its
//! objects Port saw depends on what was merged before it was sent.

mod case;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use portolan::api::{PortClient, UpsertOptions};
use portolan::catalog::{
    Draft, MappedEntities, RecentWrites, Sink, ToWrite, WriteLimits, Writer, Written,
};
use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::{IntegrationSettings, OutboundSettings, PortSettings, ProxySettings};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::json;
use tokio::sync::mpsc;

use self::case::{
    BLUEPRINTS, Case, FIRST_PROPERTY, FIRST_RELATION, Fault, ICON, IDENTIFIERS, Object, TITLE,
    cases, fields_of,
};
use crate::catalog::catalog;
use crate::installed::blueprint;
use crate::plan::foretold;
use crate::program::small_sandbox;

const CASES: u32 = 60;

const BULK: &str = "/v1/blueprints/*/entities/bulk";

/// As many refusals are named.
const NAMED: usize = 5;

fn client(sandbox: &Sandbox) -> PortClient {
    let environment: BTreeMap<String, String> = sandbox.environment().into_iter().collect();
    let setting = |name: &str| environment[&format!("OCEAN__{name}")].clone();
    PortClient::new(
        &PortSettings {
            base_url: setting("PORT__BASE_URL").parse().unwrap(),
            client_id: setting("PORT__CLIENT_ID"),
            client_secret: setting("PORT__CLIENT_SECRET").into(),
        },
        &IntegrationSettings {
            identifier: setting("INTEGRATION__IDENTIFIER"),
            kind: setting("INTEGRATION__TYPE"),
            incremental_sync_enabled: false,
            incremental_sync_interval: Duration::from_hours(1),
        },
        &OutboundSettings {
            client_timeout: Duration::from_secs(20),
            verify_port: false,
            verify_third_party: false,
            system_authorities: true,
            extra_ca_files: Vec::new(),
            extra_ca_dirs: Vec::new(),
            proxies: ProxySettings::default(),
        },
    )
    .unwrap()
}

/// A Port with the blueprints and nothing in them.
async fn port() -> (Sandbox, PortClient) {
    let sandbox = small_sandbox().await;
    let properties = [("p", "string"), ("q", "string"), ("n", "number")];
    for name in BLUEPRINTS {
        blueprint(&sandbox, name, &[], &[]);
    }
    for name in BLUEPRINTS {
        blueprint(
            &sandbox,
            name,
            &properties,
            &[("team", "team"), ("page", "page")],
        );
    }
    let client = client(&sandbox);
    (sandbox, client)
}

fn empty(sandbox: &Sandbox) {
    for name in BLUEPRINTS {
        for identifier in sandbox.port.entities(name).keys() {
            sandbox.port.remove_entity(name, identifier);
        }
    }
}

/// Empties Port and writes what the case says.
async fn write(sandbox: &Sandbox, client: &PortClient, case: &Case) -> (Vec<Written>, u64) {
    empty(sandbox);
    write_over(sandbox, client, case).await
}

/// Writes what the case says over what is there.
async fn write_over(sandbox: &Sandbox, client: &PortClient, case: &Case) -> (Vec<Written>, u64) {
    sandbox.port.clear_faults();
    sandbox.port.clear_requests();
    let ((written, _), settled) = write_all(sandbox, client.clone(), case).await;
    (written, settled)
}

/// The same with what the writer remembers, and the faults that there are.
async fn write_all(
    sandbox: &Sandbox,
    sink: impl Into<Sink>,
    case: &Case,
) -> ((Vec<Written>, MappedEntities), u64) {
    for (blueprint, fault) in &case.faults {
        let answer = match fault {
            Fault::Status(status) => Answer::status(*status),
            Fault::Cut => Answer::cut(),
            Fault::CutMidBody => Answer::cut_mid_body(),
            Fault::Late => Answer::real().after(Duration::from_millis(8)),
            Fault::Blank => Answer::json(200, &json!({"ok": true, "entities": [], "errors": []})),
        };
        let path = BULK.replace('*', BLUEPRINTS[*blueprint]);
        sandbox.port.fault(Matcher::post(&path), answer, 1);
    }

    let stored = Arc::new(AtomicU64::new(0));
    let writer = Writer::new(
        sink,
        UpsertOptions {
            merge: case.merge,
            create_missing_related_entities: case.create_missing,
            validation_only: false,
            event_type: "resync",
            resync_id: None,
        },
        WriteLimits {
            batch_entities: case.batch_entities,
            batch_bytes: case.batch_bytes,
            concurrency: case.concurrency,
        },
        case.contributions(),
        Arc::clone(&stored),
        Arc::new(RecentWrites::default()),
    );
    let (sender, receiver) = mpsc::channel(1);
    let sending = async move {
        let mut page: Option<ToWrite> = None;
        for number in 0..case.objects.len() {
            let object = &case.objects[number];
            let is_new = page
                .as_ref()
                .is_none_or(|page| page.config != object.config);
            if (is_new || object.page.is_some())
                && let Some(full) = page.take()
            {
                sender.send(full).await.ok().unwrap();
                if object.page == Some(true) {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
            page.get_or_insert_with(|| ToWrite {
                config: object.config,
                entities: Vec::new(),
                asked: Timestamp::now(),
            })
            .entities
            .push(case.entity(number));
        }
        if let Some(full) = page {
            sender.send(full).await.ok().unwrap();
        }
    };
    let (written, ()) = tokio::join!(writer.run(receiver), sending);
    (written, stored.load(Ordering::Relaxed))
}

/// Fails where Port, the counts or the requests are not what they should be.
fn check(
    sandbox: &Sandbox,
    case: &Case,
    written: &[Written],
    settled: u64,
) -> Result<(), TestCaseError> {
    // Every object is accounted for, under its resource config.
    for (config, counts) in written.iter().enumerate() {
        let sent = case.objects.iter().filter(|object| object.config == config);
        prop_assert_eq!(
            counts.stored + counts.unchanged + counts.refused,
            sent.count() as u64,
            "resource config {}: {:?}",
            config,
            counts
        );
    }
    prop_assert_eq!(
        settled,
        written
            .iter()
            .map(|counts| counts.stored + counts.unchanged)
            .sum::<u64>()
    );

    let was_refused = |blueprint: usize, identifier: usize, config: usize| {
        let refusals = &written[config].refusals;
        refusals.len() == NAMED
            || refusals.iter().any(|refusal| {
                refusal.blueprint == BLUEPRINTS[blueprint]
                    && refusal.identifier == IDENTIFIERS[identifier]
            })
    };
    let acceptable = case.acceptable();
    // A request that is refused as a whole though nothing is wrong with it.
    let is_wronged = case
        .faults
        .iter()
        .any(|(_, fault)| matches!(fault, Fault::Status(413 | 422) | Fault::Blank));
    for ((blueprint, identifier), objects) in case.in_order() {
        let name = (BLUEPRINTS[blueprint], IDENTIFIERS[identifier]);
        let refused = objects
            .iter()
            .any(|&number| was_refused(blueprint, identifier, case.objects[number].config));
        if refused {
            prop_assert!(
                is_wronged
                    || !acceptable.contains(&(blueprint, identifier))
                    || written.iter().any(|counts| counts.refusals.len() == NAMED),
                "{:?} was refused: {:?}",
                name,
                written
            );
            continue;
        }
        let entity = sandbox.port.entity(name.0, name.1);
        prop_assert!(entity.is_some(), "{:?} is not there", name);
        let mut found = fields_of(&entity.unwrap());
        found.retain(|_, value| !value.is_null());
        prop_assert_eq!(found, case.expected(&objects), "{:?}", name);
    }

    for request in sandbox.port.requests_to(&Matcher::post(BULK)) {
        let body = request.json();
        let entities = body["entities"].as_array().unwrap();
        let identifiers: BTreeSet<&str> = entities
            .iter()
            .map(|entity| entity["identifier"].as_str().unwrap())
            .collect();
        prop_assert_eq!(identifiers.len(), entities.len(), "twice in {}", body);
        prop_assert!(entities.len() <= case.batch_entities, "{}", body);
        prop_assert!(
            entities.len() == 1 || request.body_bytes <= case.batch_bytes,
            "{} bytes: {}",
            request.body_bytes,
            body
        );
    }
    Ok(())
}

/// Once into an empty Port, and once more over what that left, when there is
/// nothing left to say.
async fn check_twice(
    sandbox: &Sandbox,
    client: &PortClient,
    case: &Case,
) -> Result<(), TestCaseError> {
    let (written, settled) = write(sandbox, client, case).await;
    check(sandbox, case, &written, settled)?;

    let again = Case {
        faults: Vec::new(),
        ..case.clone()
    };
    let was_refused = |written: &[Written]| written.iter().any(|counts| counts.refused > 0);
    let incomplete = was_refused(&written);
    let (written, settled) = write_over(sandbox, client, &again).await;
    check(sandbox, &again, &written, settled)?;
    if !incomplete && !was_refused(&written) {
        let requests = sandbox.port.requested(&Matcher::post(BULK));
        prop_assert_eq!(requests, 0, "nothing changed, and it was written again");
    }
    Ok(())
}

#[test]
fn port_holds_what_a_sequential_writer_would_leave() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (sandbox, client) = runtime.block_on(port());
    let cases_run = std::env::var("WRITER_MODEL_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(CASES);
    let config = Config {
        cases: cases_run,
        failure_persistence: None,
        ..Config::default()
    };
    // The same cases every time.
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&cases(), |case| {
        runtime.block_on(check_twice(&sandbox, &client, &case))
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Writes into a draft, then into Port, over what is there. None where something was
/// refused: which of the objects that meet in an entity Port saw before depends on the
/// requests they came in.
async fn check_draft(
    sandbox: &Sandbox,
    client: &PortClient,
    case: &Case,
) -> Result<Option<usize>, TestCaseError> {
    let case = Case {
        faults: Vec::new(),
        ..case.clone()
    };
    let before = catalog(sandbox);
    sandbox.port.clear_requests();
    let draft = Arc::new(Draft::new(client.clone(), false, &[]));
    let drafted = write_all(sandbox, Sink::Draft(Arc::clone(&draft)), &case).await;
    prop_assert_eq!(sandbox.port.requested(&Matcher::post(BULK)), 0);
    prop_assert_eq!(&catalog(sandbox), &before);

    let written = write_all(sandbox, client.clone(), &case).await;
    let counts = drafted.0.0.iter().chain(&written.0.0);
    if counts.into_iter().any(|counts| counts.refused > 0) {
        return Ok(None);
    }
    let changes = serde_json::to_value(draft.changes()).unwrap();
    let changes = changes["entities"].as_array().unwrap();
    let expected = foretold(changes, &before).map_err(TestCaseError::fail)?;
    prop_assert_eq!(catalog(sandbox), expected);
    Ok(Some(changes.len()))
}

#[test]
fn what_is_written_into_a_draft_is_what_the_writer_leaves_in_port() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (sandbox, client) = runtime.block_on(port());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let changes = AtomicU64::new(0);
    let outcome = runner.run(&cases(), |case| {
        // What earlier cases left is what there is to change.
        let found = runtime.block_on(check_draft(&sandbox, &client, &case))?;
        changes.fetch_add(found.unwrap_or_default() as u64, Ordering::Relaxed);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let changes = changes.into_inner();
    assert!(
        changes > 20,
        "{changes} changes are too few to say anything"
    );
}

/// An object without a null or a target that is not there.
fn object(config: usize, blueprint: usize, identifier: usize) -> Object {
    Object {
        config,
        blueprint,
        identifier,
        nulls: FIRST_RELATION,
        targets: [0, 0],
        is_spoilt: false,
        page: None,
    }
}

async fn expect_right(case: Case) {
    let (sandbox, client) = port().await;
    check_twice(&sandbox, &client, &case).await.unwrap();
}

#[tokio::test]
async fn what_is_merged_into_a_waiting_entity_keeps_its_request_within_bounds() {
    expect_right(Case {
        configs: vec![ICON | FIRST_PROPERTY, TITLE | ICON | (FIRST_PROPERTY << 1)],
        objects: vec![
            object(0, 0, 1),
            object(0, 0, 0),
            object(0, 0, 2),
            object(1, 0, 0),
        ],
        faults: Vec::new(),
        merge: false,
        create_missing: false,
        batch_entities: 4,
        batch_bytes: 300,
        concurrency: 1,
    })
    .await;
}

#[tokio::test]
async fn a_later_object_goes_to_the_postponed_one_though_another_config_has_one_waiting() {
    let needing = Object {
        nulls: 0,
        targets: [1, 0],
        ..object(0, 1, 0)
    };
    expect_right(Case {
        configs: vec![TITLE | FIRST_RELATION, ICON],
        objects: vec![
            needing,
            object(0, 1, 2),
            object(1, 1, 0),
            object(0, 1, 0),
            object(0, 0, 1),
        ],
        faults: Vec::new(),
        merge: true,
        create_missing: false,
        batch_entities: 2,
        batch_bytes: 1 << 20,
        concurrency: 1,
    })
    .await;
}

#[tokio::test]
async fn an_identifier_in_two_blueprints_is_no_circle() {
    // page z needs page x, which needs team z: by identifiers alone, a circle.
    let second_relation = FIRST_RELATION << 1;
    let page_z = Object {
        nulls: 0,
        targets: [0, 0],
        ..object(0, 1, 2)
    };
    let page_x = Object {
        nulls: 0,
        targets: [2, 0],
        ..object(2, 1, 0)
    };
    expect_right(Case {
        configs: vec![second_relation, 0, FIRST_RELATION],
        objects: vec![page_z, object(1, 0, 2), page_x],
        faults: Vec::new(),
        merge: false,
        create_missing: false,
        batch_entities: 2,
        batch_bytes: 150,
        concurrency: 1,
    })
    .await;
}

#[tokio::test]
async fn collisions_are_counted_though_another_config_wrote_in_between() {
    let case = Case {
        configs: vec![TITLE, ICON],
        objects: vec![object(0, 0, 0), object(1, 0, 0), object(0, 0, 0)],
        faults: Vec::new(),
        merge: true,
        create_missing: true,
        batch_entities: 1,
        batch_bytes: 1 << 20,
        concurrency: 1,
    };
    let (sandbox, client) = port().await;

    let (written, stored) = write(&sandbox, &client, &case).await;

    assert_eq!(written[0].collisions, 1);
    assert_eq!(written[0].collision.as_deref(), Some("x"));
    assert_eq!(written[1].collisions, 0);
    check(&sandbox, &case, &written, stored).unwrap();
}

#[tokio::test]
async fn what_port_creates_for_a_relation_was_not_there_before() {
    let needing = |identifier| Object {
        nulls: 0,
        targets: [0, 0],
        ..object(0, 0, identifier)
    };
    let case = Case {
        configs: vec![FIRST_RELATION << 1, TITLE],
        objects: vec![needing(0), needing(1), object(1, 1, 0)],
        faults: Vec::new(),
        merge: true,
        create_missing: true,
        batch_entities: 1,
        batch_bytes: 1 << 20,
        concurrency: 1,
    };
    let (sandbox, client) = port().await;
    // The first blueprint is written to before the second is read.
    sandbox.port.fault(
        Matcher::get("/v1/blueprints/page"),
        Answer::real().after(Duration::from_millis(200)),
        1,
    );

    let (written, mapped) = write_all(&sandbox, client.clone(), &case).await.0;

    assert_eq!(written[1].stored, 1);
    assert_eq!(mapped.rewritten_in_all(), 0);
}
