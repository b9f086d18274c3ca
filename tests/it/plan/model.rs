//! Random small installations whose catalogs have drifted: by hand, by others, by
//! mishaps. What a plan says of each, the resync after it does, field by field.

use fastrand::Rng;
use portolan::sandbox::Sandbox;
use portolan::settings::SourceName;
use serde_json::json;

use super::{plan, resync_as_planned};
use crate::installed::install;
use crate::program::portolan;
use crate::resync_model::case::{
    BLUEPRINTS, Case, Incident, KINDS, Objects, change_objects, draw_objects,
};
use crate::resync_model::{SOMEBODY_ELSE, arrange, port};

const CASES: u64 = 24;

/// This installation, in an earlier version.
const OURS: &str = "port-ocean/statuspage/0.0.1/portolan-sandbox/exporter";

/// What somebody does to the catalog between two resyncs.
fn drift(chance: &mut Rng, sandbox: &Sandbox) {
    for (number, blueprint) in BLUEPRINTS.into_iter().enumerate() {
        for identifier in sandbox.port.entities(blueprint).into_keys() {
            match chance.u8(..8) {
                0 => drop(sandbox.port.remove_entity(blueprint, &identifier)),
                1 | 2 => {
                    let agent = if chance.bool() { OURS } else { SOMEBODY_ELSE };
                    let entity = json!({
                        "identifier": identifier, "title": "by hand", "icon": "Hand",
                        "properties": {"a": null, "b": format!("by hand {}", chance.u8(..3))},
                    });
                    sandbox.port.insert_entity(blueprint, &entity, agent);
                }
                _ => {}
            }
        }
        for extra in 0..chance.u8(..12) {
            let agent = if chance.u8(..4) > 0 {
                OURS
            } else {
                SOMEBODY_ELSE
            };
            let mut entity = json!({"identifier": format!("extra{extra}"), "title": "extra"});
            if number + 1 < BLUEPRINTS.len() && chance.bool() {
                let target = if chance.bool() { "extra" } else { "k" };
                let target = format!("{target}{}", chance.u8(..6));
                entity["relations"] = json!({ "next": target });
            }
            sandbox.port.insert_entity(blueprint, &entity, agent);
        }
    }
}

/// Lets Port refuse some. What it refuses of an entity that several objects meet in
/// depends on which of them come in one request, so there every object has its own.
fn spoil(chance: &mut Rng, case: &mut Case, objects: &mut Objects) {
    let mut seen = Vec::new();
    case.configs.retain(|config| {
        let is_first = !seen.contains(&config.blueprint);
        seen.push(config.blueprint);
        is_first
    });
    for of_kind in objects.values_mut() {
        for (number, object) in of_kind.iter_mut().enumerate() {
            object["key"] = json!(format!("k{number}"));
            if chance.u8(..4) == 0 {
                object["note"] = json!(5);
            }
        }
    }
}

async fn check(seed: u64) -> Result<[usize; 4], String> {
    let sandbox = port().await;
    let mut chance = Rng::with_seed(seed);
    let mut case = Case::draw(&mut chance);
    let mut objects = draw_objects(&mut chance);
    let is_spoilt = chance.u8(..3) == 0;
    install(&sandbox, &case.mapping(None));
    let environment = sandbox.environment_for(SourceName::Statuspage);
    let mut counts = [0; 4];
    for step in 1..=3 {
        if is_spoilt {
            spoil(&mut chance, &mut case, &mut objects);
        } else {
            case.leave_no_target_out(&mut objects);
        }
        let mishap = (chance.u8(..4) == 0).then(|| {
            let incident = if chance.bool() {
                Incident::Refused
            } else {
                Incident::SelectorFails
            };
            (KINDS[chance.usize(..KINDS.len())], incident)
        });
        arrange(&sandbox, &case, &objects, mishap);
        drift(&mut chance, &sandbox);
        let flags: &[&str] = if chance.u8(..3) == 0 {
            &["--validate"]
        } else {
            &[]
        };
        let planned = plan(&sandbox, flags, &environment).await;
        let explained = |broken: String| {
            format!(
                "seed {seed}, step {step}: {broken}\n{case:?}\nmishap: {mishap:?} {flags:?}\nobjects: {}\nplan: {:#}\nlog:\n{}",
                json!(objects),
                planned.document,
                planned.outcome.stderr
            )
        };
        let done = resync_as_planned(&sandbox, &planned, &environment).await;
        done.map_err(&explained)?;
        let summary = &planned.document["summary"];
        for (count, what) in counts
            .iter_mut()
            .zip(["create", "change", "delete", "withheld"])
        {
            *count += usize::try_from(summary[what].as_u64().unwrap()).unwrap();
        }
        // What was withheld because of its share may be a smaller one next time.
        if planned.outcome.code == Some(0) {
            let again = plan(&sandbox, &["--exit-code"], &environment).await;
            if !again.entities().is_empty() || again.outcome.code == Some(4) {
                let told = again.told();
                return Err(explained(format!(
                    "after the resync there is still: {told:?}"
                )));
            }
        }
        change_objects(&mut chance, &mut objects);
    }
    Ok(counts)
}

#[tokio::test]
async fn a_resync_does_what_the_plan_said_whatever_has_happened_to_the_catalog() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let first = setting("PLAN_MODEL_SEED").unwrap_or(0);
    let cases = setting("PLAN_MODEL_CASES").unwrap_or(CASES);
    let mut broken = Vec::new();
    let mut seen = [0; 4];
    for seed in first..first + cases {
        match check(seed).await {
            Ok(more) => seen
                .iter_mut()
                .zip(more)
                .for_each(|(seen, more)| *seen += more),
            Err(law) => broken.push(law),
        }
    }
    let laws: Vec<String> = broken
        .iter()
        .map(|law| law.lines().take(4).collect::<Vec<_>>().join("\n"))
        .collect();
    assert!(
        broken.is_empty(),
        "{} cases:\n{}\nthe first of them:\n{}",
        broken.len(),
        laws.join("\n"),
        broken[0]
    );
    assert!(
        cases < CASES || seen.iter().all(|count| *count > 20),
        "create, change, delete, withhold: {seen:?} is too little to say anything"
    );
}

#[tokio::test]
async fn the_whole_company_arrives_as_planned_and_once_it_is_there_nothing_is_left_to_do() {
    let sandbox = crate::program::small_sandbox().await;
    let environment = sandbox.environment();
    let planned = plan(&sandbox, &["--exit-code"], &environment).await;
    assert_eq!(planned.outcome.code, Some(4), "{}", planned.outcome.stderr);
    assert_eq!(planned.catalog()["integration"]["exists"], false);
    assert_eq!(planned.catalog()["mapping"], "the default mapping");
    assert_eq!(
        planned.catalog()["blueprints"].as_array().unwrap().len(),
        17
    );

    let before = crate::catalog::catalog(&sandbox);
    let expected = planned.foretold(&before).unwrap();
    portolan(&["run"], &environment).await.expect_code(0);
    let found = crate::catalog::catalog(&sandbox);
    assert!(found.len() > 100, "{}", found.len());
    crate::catalog::assert_same(&found, &expected, "after the first resync");

    let again = plan(&sandbox, &["--exit-code"], &environment).await;
    assert_eq!(again.told(), [""; 0]);
    again.outcome.expect_code(0);
}
