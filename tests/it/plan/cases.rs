//! The plan through the real binary: what it tells, in which form, and how it ends.

use std::collections::BTreeSet;

use portolan::sandbox::{Answer, Gate, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use super::{Planned, plan, resync_as_planned, state, validations, writes};
use crate::installed::{blueprint, install, resource};
use crate::program::{
    Outcome, portolan, portolan_in, small_sandbox, terminate_command_when, with, without,
};

/// This installation, in an earlier version.
const OURS: &str = "port-ocean/statuspage/0.0.1/portolan-sandbox/exporter";

pub(super) fn parts() -> Value {
    resource(
        "component",
        &json!({
            "identifier": ".id", "blueprint": "\"part\"", "title": ".name",
            "properties": {"status": ".status", "size": ".size"},
            "relations": {"page": ".page_id"},
        }),
    )
}

pub(super) fn pages() -> Value {
    resource(
        "statuspage",
        &json!({"identifier": ".id", "blueprint": "\"page\"", "title": ".name"}),
    )
}

pub(super) fn mapping(resources: &[Value]) -> Value {
    json!({
        "enableMergeEntity": true, "deleteDependentEntities": true,
        "createMissingRelatedEntities": false, "entityDeletionThreshold": 0.9,
        "resources": resources,
    })
}

/// A page with three components, all of which are in Port; one of them is renamed, one
/// new, and one gone since.
pub(super) async fn company() -> (Sandbox, Vec<(String, String)>) {
    let sandbox = small_sandbox().await;
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for id in ["c1", "c2", "c3"] {
        component(&sandbox, id, &json!({}));
    }
    blueprint(&sandbox, "page", &[], &[]);
    let properties = [("status", "string"), ("size", "number")];
    blueprint(&sandbox, "part", &properties, &[("page", "page")]);
    blueprint(&sandbox, "note", &[], &[("part", "part")]);
    install(&sandbox, &mapping(&[pages(), parts()]));
    let environment = sandbox.environment_for(SourceName::Statuspage);
    portolan(&["run"], &environment).await.expect_code(0);
    component(&sandbox, "c1", &json!({"name": "Renamed"}));
    component(&sandbox, "c4", &json!({}));
    sandbox.statuspage.remove("component", "c3");
    (sandbox, environment)
}

pub(super) fn component(sandbox: &Sandbox, id: &str, fields: &Value) {
    let mut component = json!({
        "id": id, "page_id": "page", "group": false, "name": id, "status": "operational",
        "size": 1,
    });
    for (name, value) in fields.as_object().unwrap() {
        component[name] = value.clone();
    }
    sandbox.statuspage.insert("component", &component);
}

/// A plan in words; nothing must come of it either.
async fn told(sandbox: &Sandbox, arguments: &[&str], environment: &[(String, String)]) -> Outcome {
    let before = state(sandbox);
    sandbox.clear_requests();
    let outcome = portolan(arguments, environment).await;
    assert_eq!(state(sandbox), before);
    assert_eq!(writes(sandbox), [""; 0]);
    outcome
}

#[tokio::test]
async fn it_says_what_would_be_created_changed_and_deleted_and_the_resync_does_it() {
    let (sandbox, environment) = company().await;

    let planned = plan(&sandbox, &[], &environment).await;

    assert_eq!(
        planned.told(),
        ["change part/c1", "delete part/c3", "create part/c4"]
    );
    assert_eq!(
        planned.entities()[0]["fields"],
        json!([{"field": "title", "old": "c1", "new": "Renamed"}])
    );
    assert_eq!(
        planned.document["summary"],
        json!({
            "create": 1, "change": 1, "delete": 1, "withheld": 0, "refused": 0,
            "incidents": 0, "pending": true,
        })
    );
    assert_eq!(planned.outcome.code, Some(0));
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn people_read_it_as_text_and_pull_requests_as_markdown() {
    let (sandbox, environment) = company().await;

    let text = told(&sandbox, &["plan"], &environment).await.expect_code(0);
    let comment = told(&sandbox, &["plan", "--markdown"], &environment).await;

    insta::assert_snapshot!(text.stdout, @r#"
    Integration `portolan-sandbox` of type `statuspage`, planned with the mapping in Port

    ! change part/c1
    !     title: "c1" → "Renamed"
    - delete part/c3
    + create part/c4
    +     properties.size: 1
    +     properties.status: "operational"
    +     relations.page: "page"
    +     title: "c4"

    Plan: 1 to create, 1 to change, 1 to delete. Nothing was changed.
    "#);
    insta::assert_snapshot!(comment.expect_code(0).stdout, @r#"
    ### Portolan plan: 1 to create, 1 to change, 1 to delete

    | blueprint | create | change | delete | withheld |
    |---|--:|--:|--:|--:|
    | `part` | 1 | 1 | 1 | 0 |

    <details><summary>About this plan</summary>

    ```text
    Integration portolan-sandbox of type statuspage, planned with the mapping in Port.
    ```

    </details>

    <details><summary><code>part</code>: 3 entities</summary>

    ```diff
    ! change part/c1
    !     title: "c1" → "Renamed"
    - delete part/c3
    + create part/c4
    +     properties.size: 1
    +     properties.status: "operational"
    +     relations.page: "page"
    +     title: "c4"
    ```

    </details>
    "#);
}

#[tokio::test]
async fn the_exit_code_tells_whether_there_is_anything_to_do_if_asked() {
    let (sandbox, environment) = company().await;
    let flags = ["plan", "--exit-code"];

    told(&sandbox, &flags, &environment).await.expect_code(4);
    portolan(&["run"], &environment).await.expect_code(0);
    let done = told(&sandbox, &flags, &environment).await.expect_code(0);

    let last = done.stdout.lines().last().unwrap();
    assert_eq!(
        last,
        "Plan: 0 to create, 0 to change, 0 to delete. Nothing was changed."
    );
}

#[tokio::test]
async fn what_could_not_be_read_withholds_and_is_told() {
    let (sandbox, environment) = company().await;
    sandbox.statuspage.fault(
        Matcher::get("/v1/pages/page/components"),
        Answer::status(403),
        usize::MAX,
    );

    let planned = plan(&sandbox, &["--exit-code"], &environment).await;

    let withheld = &planned.catalog()["withheld"];
    assert_eq!(withheld[0]["reason"], "incomplete", "{withheld}");
    assert_eq!(withheld[0]["entities"], 3);
    assert_eq!(planned.told(), [""; 0]);
    assert_eq!(planned.outcome.code, Some(3));
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_port_would_take_along_is_told_and_what_must_stay_keeps_its_target() {
    let (sandbox, environment) = company().await;
    let note = json!({"identifier": "note", "relations": {"part": "c3"}});
    sandbox.port.insert_entity("note", &note, "somebody");

    let planned = plan(&sandbox, &[], &environment).await;

    let along = &planned.entities()[0];
    assert_eq!(along["action"], "delete");
    assert_eq!(along["identifier"], "note");
    assert_eq!(
        along["because"],
        "it relates to an entity of `part` that is deleted"
    );
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn without_dependents_an_entity_that_others_relate_to_is_withheld() {
    let (sandbox, environment) = company().await;
    let note = json!({"identifier": "note", "relations": {"part": "c3"}});
    sandbox.port.insert_entity("note", &note, "somebody");
    let mut singly = mapping(&[pages(), parts()]);
    singly["deleteDependentEntities"] = json!(false);
    sandbox.port.set_mapping(singly);

    let planned = plan(&sandbox, &[], &environment).await;

    let withheld = &planned.catalog()["withheld"][0];
    assert_eq!(withheld["reason"], "refused");
    assert!(
        withheld["detail"].as_str().unwrap().contains("note/note"),
        "{withheld}"
    );
    assert_eq!(planned.outcome.code, Some(3));
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_entity_that_the_resync_turns_elsewhere_does_not_keep_what_it_related_to() {
    // As Port is now, deleting the old page would take c1 along; after the writes of
    // the resync it does not.
    let (sandbox, environment) = company().await;
    let old = json!({"identifier": "old", "title": "Old"});
    sandbox.port.insert_entity("page", &old, OURS);
    let moved = json!({"identifier": "c1", "relations": {"page": "old"}});
    sandbox.port.insert_entity("part", &moved, OURS);

    let planned = plan(&sandbox, &[], &environment).await;

    assert!(
        planned.told().contains(&"delete page/old".to_owned()),
        "{:?}",
        planned.told()
    );
    assert_eq!(planned.catalog()["withheld"], json!([]));
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

/// Identifiers that Port would refuse, and why.
fn refusals(planned: &Planned) -> Vec<(String, String)> {
    let kinds = planned.catalog()["kinds"].as_array().unwrap();
    let refusals = kinds
        .iter()
        .flat_map(|kind| kind["refusals"].as_array().unwrap());
    let text = |refusal: &Value, name: &str| refusal[name].as_str().unwrap().to_owned();
    refusals
        .map(|refusal| (text(refusal, "identifier"), text(refusal, "reason")))
        .collect()
}

#[tokio::test]
async fn what_port_would_refuse_is_foreseen_and_validated_by_port_itself_when_asked() {
    let (sandbox, environment) = company().await;
    component(&sandbox, "c2", &json!({"size": "large"}));
    component(
        &sandbox,
        "c5",
        &json!({"page_id": "page", "status": "fine"}),
    );
    let mut definition = sandbox.port.blueprints()["part"].clone();
    definition["schema"]["properties"]["status"]["format"] = json!("url");
    sandbox.port.insert_blueprint(&definition);

    let foreseen = plan(&sandbox, &[], &environment).await;
    let size = "`properties.size` must be of type number";
    assert_eq!(refusals(&foreseen), [("c2".to_owned(), size.to_owned())]);
    assert_eq!(validations(&sandbox), 0);
    assert_eq!(foreseen.catalog()["validated"], false);

    // The format is known to Port alone.
    let validated = plan(&sandbox, &["--validate"], &environment).await;
    assert!(validations(&sandbox) > 0);
    assert_eq!(validated.catalog()["validated"], true);
    let refused: Vec<String> = refusals(&validated).into_iter().map(|(id, _)| id).collect();
    assert_eq!(refused, ["c1", "c2", "c4", "c5"]);
    assert_eq!(validated.outcome.code, Some(3));
    resync_as_planned(&sandbox, &validated, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn validating_does_not_miss_a_target_that_the_resync_would_have_made_by_then() {
    let (sandbox, environment) = company().await;
    for identifier in sandbox.port.entities("part").into_keys() {
        sandbox.port.remove_entity("part", &identifier);
    }
    sandbox.port.remove_entity("page", "page");

    let planned = plan(&sandbox, &["--validate"], &environment).await;

    assert_eq!(
        planned.document["summary"]["refused"], 0,
        "{:#}",
        planned.document
    );
    assert_eq!(planned.document["summary"]["create"], 4);
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_mapping_in_a_file_is_planned_before_it_is_in_port() {
    let (sandbox, environment) = company().await;
    portolan(&["run"], &environment).await.expect_code(0);
    let directory = tempfile::tempdir().unwrap();
    let mut changed = mapping(&[pages(), parts()]);
    changed["resources"][1]["port"]["entity"]["mappings"]["title"] = json!(".name | ascii_upcase");
    let file = directory.path().join("mapping.yaml");
    std::fs::write(&file, serde_yaml::to_string(&changed).unwrap()).unwrap();

    let planned = plan(
        &sandbox,
        &["--mapping", file.to_str().unwrap()],
        &environment,
    )
    .await;

    assert_eq!(
        planned.told(),
        ["change part/c1", "change part/c2", "change part/c4"]
    );
    sandbox.port.set_mapping(changed);
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_mapping_that_is_wrong_or_missing_is_told_with_its_place() {
    let (sandbox, environment) = company().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("wrong.yaml"),
        "resources:\n  - kind: component\n    selector:\n      query: 'true'\n    port:\n      entity:\n        mappings:\n          identifier: .id |\n          blueprint: '\"part\"'\n",
    )
    .unwrap();

    let wrong = ["plan", "--mapping", "wrong.yaml"];
    let wrong = portolan_in(directory.path(), &wrong, &environment)
        .await
        .expect_code(2);
    let missing = ["plan", "--mapping", "nowhere.yaml"];
    let missing = portolan_in(directory.path(), &missing, &environment)
        .await
        .expect_code(2);

    assert!(wrong.stderr.contains("wrong.yaml"), "{}", wrong.stderr);
    assert!(
        missing.logged("ERROR")[0].contains("nowhere.yaml"),
        "{}",
        missing.stderr
    );
    sandbox
        .port
        .set_mapping(json!({"resources": [{"kind": "nothing"}]}));
    let in_port = portolan(&["plan"], &environment).await.expect_code(1);
    assert!(
        in_port.logged("ERROR")[0].contains("the mapping in Port"),
        "{}",
        in_port.stderr
    );
}

#[tokio::test]
async fn a_first_start_is_planned_with_the_default_mapping_and_blueprints() {
    let sandbox = small_sandbox().await;
    let environment = sandbox.environment_for(SourceName::Statuspage);

    let planned = told(&sandbox, &["plan", "--exit-code"], &environment).await;

    let planned = planned.expect_code(4).stdout;
    assert!(planned.contains("does not exist in Port yet"), "{planned}");
    assert!(
        planned.contains("planned with the default mapping"),
        "{planned}"
    );
    assert!(
        planned.contains("+ create statuspageComponent/"),
        "{planned}"
    );
}

#[tokio::test]
async fn a_start_that_may_not_create_blueprints_is_planned_without_them() {
    let sandbox = small_sandbox().await;
    let environment = sandbox.environment_for(SourceName::Statuspage);
    let environment = with(environment, "OCEAN__INITIALIZE_PORT_RESOURCES", "false");

    let planned = plan(&sandbox, &[], &environment).await;

    assert_eq!(planned.catalog()["blueprints"], json!([]));
    assert_eq!(planned.told(), [""; 0]);
    let refused = &planned.catalog()["kinds"][0]["refusals"][0]["reason"];
    assert_eq!(
        refused,
        "Port would answer 404: there is no blueprint `statuspage`"
    );
    resync_as_planned(&sandbox, &planned, &environment)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_integration_that_port_hosts_itself_is_not_planned_here() {
    let (sandbox, environment) = company().await;
    sandbox.port.insert_integration(
        portolan::sandbox::IDENTIFIER,
        &json!({"installationType": "SaasOauth2"}),
    );

    let refused = told(&sandbox, &["plan"], &environment).await.expect_code(2);

    assert!(
        refused.logged("ERROR")[0].contains("hosted by Port"),
        "{}",
        refused.stderr
    );
}

/// The names of the members of a document, those of objects within it included.
fn members(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| members(value, names)),
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                // By blueprint.
                if name != "kept" {
                    members(value, names);
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_member_of_the_document_is_described() {
    let (sandbox, environment) = company().await;
    component(&sandbox, "c2", &json!({"size": "large"}));
    sandbox
        .port
        .insert_entity("page", &json!({"identifier": "old"}), OURS);
    let components = Matcher::get("/v1/pages/page/components");
    sandbox
        .statuspage
        .fault(components, Answer::status(403), usize::MAX);
    let note = json!({"identifier": "note", "relations": {"part": "c3"}});
    sandbox.port.insert_entity("note", &note, "somebody");

    let mut names = BTreeSet::new();
    let planned = plan(&sandbox, &[], &environment).await;
    members(&planned.document, &mut names);
    sandbox.statuspage.clear_faults();
    let planned = plan(&sandbox, &[], &environment).await;
    members(&planned.document, &mut names);

    for name in ["because", "old", "reason", "share"] {
        assert!(names.contains(name), "{name} is not in the plans");
    }
    let described = include_str!("../../../docs/plan.md");
    let is_missing = |name: &&String| {
        let forms = [
            format!("`{name}`"),
            format!(".{name}`"),
            format!(".{name}[]`"),
        ];
        !forms.iter().any(|form| described.contains(form.as_str()))
    };
    let missing: Vec<&String> = names.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "docs/plan.md does not have {missing:?}");
}

#[tokio::test]
async fn without_the_right_to_begin_it_does_not_start() {
    let (sandbox, environment) = company().await;
    let wrong = with(environment.clone(), "OCEAN__PORT__CLIENT_SECRET", "wrong");
    let nobody = without(environment.clone(), "OCEAN__PORT__CLIENT_ID");
    let nobody = without(nobody, "OCEAN__PORT__CLIENT_SECRET");

    let refused = told(&sandbox, &["plan"], &wrong).await.expect_code(2);
    let settings = told(&sandbox, &["plan"], &nobody).await.expect_code(2);
    let both = told(&sandbox, &["plan", "--json", "--markdown"], &environment).await;

    assert!(
        refused.logged("ERROR")[0].contains("Cannot work with Port"),
        "{}",
        refused.stderr
    );
    assert!(refused.stdout.is_empty() && settings.stdout.is_empty());
    both.expect_code(2);
}

#[tokio::test]
async fn it_is_done_once_whatever_the_service_listens_to() {
    let (sandbox, environment) = company().await;
    for listener in ["POLLING", "KAFKA", "WEBHOOKS_ONLY", "ONCE"] {
        let environment = with(environment.clone(), "OCEAN__EVENT_LISTENER__TYPE", listener);
        let planned = plan(&sandbox, &[], &environment).await;
        assert_eq!(planned.entities().len(), 3, "{listener}");
        planned.outcome.expect_code(0);
    }
}

#[tokio::test]
async fn a_secret_that_somebody_repeats_is_not_told() {
    let sandbox = small_sandbox().await;
    let environment = sandbox.environment_for(SourceName::Pagerduty);
    let (_, token) = environment
        .iter()
        .find(|(name, _)| name.ends_with("TOKEN"))
        .unwrap();
    let answer = json!({"error": {"message": format!("{token} may not see users"), "code": 2010}});
    sandbox.pagerduty.fault(
        Matcher::get("/users"),
        Answer::json(403, &answer),
        usize::MAX,
    );

    for form in ["--json", "--markdown", "--log-level=INFO"] {
        let outcome = portolan(&["plan", form], &environment).await.expect_code(3);
        let told = &outcome.stdout;
        assert!(told.contains("may not see users"), "{form}: {told}");
        assert!(!told.contains(token), "{form}: {told}");
    }
}

#[tokio::test]
async fn a_plan_of_the_catalog_alone_needs_no_state_and_leaves_none() {
    let sandbox = small_sandbox().await;
    let directory = tempfile::tempdir().unwrap();

    let outcome = portolan_in(directory.path(), &["plan"], &sandbox.environment()).await;

    assert_eq!(outcome.expect_code(0).logged("WARNING"), [""; 0]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_plan_that_is_asked_to_stop_does_so_also_while_it_looks_for_what_to_delete() {
    let (sandbox, environment) = company().await;
    let listing = Matcher::post("/v1/blueprints/entities/datasource-entities");
    sandbox.port.clear_requests();
    let gate = Gate::closed();
    let held = Answer::real().held(&gate);
    sandbox.port.fault(listing.clone(), held, usize::MAX);

    let outcome = terminate_command_when(&["plan"], &environment, || {
        sandbox.port.requested(&listing) > 0
    })
    .await;

    outcome.expect_code(143);
}
