//! The seed's story, with the real binary and nothing but Pagerstatus' variables.

use serde_json::{Value, json};

use super::world::{COMPONENTS, PAGE, SECOND_TOKEN, World, text};
use crate::program::{portolan, with};

#[tokio::test]
async fn what_somebody_acknowledges_is_public_until_it_is_over() {
    let world = World::start().await;
    world.page_someone("PX1", &[COMPONENTS[0].0]);

    portolan(&["reconcile"], &world.pagerstatus())
        .await
        .expect_code(0);
    assert_eq!(
        world.unresolved(),
        Vec::<Value>::new(),
        "nobody has acknowledged it"
    );

    world.pagerduty().acknowledge("PX1");
    portolan(&["reconcile"], &world.pagerstatus())
        .await
        .expect_code(0);
    let incidents = world.unresolved();
    let [incident] = incidents.as_slice() else {
        panic!("{incidents:?}")
    };
    assert_eq!(incident["name"], "Investigating Errors in Checkout");
    assert_eq!(incident["status"], "investigating");
    assert!(text(&incident["incident_updates"][0], "body").contains("Checkout"));
    assert_eq!(incident["components"][0]["id"], COMPONENTS[0].0);
    assert_eq!(world.status_of(COMPONENTS[0].0), "partial_outage");
    let record = &incident["metadata"]["portolan"];
    assert_eq!(record["key"], format!("component:{}", COMPONENTS[0].0));
    assert_eq!(record["sources"][0]["account"], "hugops");
    assert_eq!(record["sources"][0]["id"], "PX1");

    world.pagerduty().resolve("PX1");
    portolan(&["reconcile"], &world.pagerstatus())
        .await
        .expect_code(0);
    assert_eq!(world.unresolved(), Vec::<Value>::new());
    assert_eq!(world.incident(text(incident, "id"))["status"], "resolved");
    assert_eq!(world.status_of(COMPONENTS[0].0), "operational");
    assert_eq!(world.statuspage().notifications().len(), 2);
    world.assert_sound();
}

#[tokio::test]
async fn every_component_of_every_tag_is_announced_however_it_is_tagged() {
    let world = World::start().await;
    let [checkout, search, login, mail, reports] = COMPONENTS.map(|(id, _)| id);
    world.acknowledged("PX1", &[checkout, search]);
    let pagerduty = world.pagerduty();
    pagerduty.open_incident(
        "PX2",
        "login is slow",
        json!({"type": "api", "details": {"tags": [format!("component_{login}"), "web", 7]}}),
    );
    pagerduty.open_incident(
        "PX3",
        "no mail",
        json!({"type": "email", "body": format!("It is down.\nComponent: {mail}\n")}),
    );
    pagerduty.open_incident(
        "PX4",
        "large",
        json!({"type": "api", "details": {"tags": format!("component:{reports}")}}),
    );
    pagerduty.omit_channel("PX4");
    // What has no tag, or none that can be read, is nobody's.
    pagerduty.open_incident(
        "PX5",
        "untagged",
        json!({"type": "api", "details": "component"}),
    );
    pagerduty.open_incident("PX6", "odd", json!({"type": "email", "body": null}));
    pagerduty.open_incident(
        "PX7",
        "unknown",
        json!({"type": "api", "details": {"tags": "component:nowhere"}}),
    );
    for id in ["PX2", "PX3", "PX4", "PX5", "PX6", "PX7"] {
        pagerduty.acknowledge(id);
    }

    let outcome = portolan(&["reconcile"], &world.pagerstatus())
        .await
        .expect_code(0);

    let announced: Vec<String> = world
        .unresolved()
        .iter()
        .map(|incident| text(&incident["components"][0], "id").to_owned())
        .collect();
    let mut sorted = announced.clone();
    sorted.sort();
    assert_eq!(sorted, [checkout, search, login, mail, reports]);
    let warnings = outcome.logged("WARNING").join("\n");
    assert!(warnings.contains("`nowhere`"), "{warnings}");
    world.assert_sound();
}

#[tokio::test]
async fn an_account_that_cannot_be_read_closes_nothing_and_hinders_no_opening() {
    let world = World::start().await;
    let environment = with(world.pagerstatus(), "PD_ACCOUNT_OTHERS", SECOND_TOKEN);
    world.pagerduty().accept_token(SECOND_TOKEN);
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    portolan(&["reconcile"], &environment).await.expect_code(0);
    assert_eq!(world.unresolved().len(), 1);

    // One account is over it, another is locked out.
    world.pagerduty().resolve("PX1");
    world.pagerduty().revoke_token(SECOND_TOKEN);
    world.acknowledged("PX2", &[COMPONENTS[1].0]);
    let outcome = portolan(&["reconcile"], &environment).await.expect_code(3);

    assert_eq!(world.unresolved().len(), 2, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("`others` could not be read"),
        "{}",
        outcome.stderr
    );

    world.pagerduty().accept_token(SECOND_TOKEN);
    portolan(&["reconcile"], &environment).await.expect_code(0);
    assert_eq!(world.unresolved().len(), 1);
    world.assert_sound();
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_left_alone() {
    let world = World::start().await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    world
        .statuspage()
        .revoke_key(portolan::sandbox::statuspage::API_KEY);

    let outcome = portolan(&["reconcile"], &world.pagerstatus())
        .await
        .expect_code(1);

    assert!(
        outcome.stderr.contains("could not be read"),
        "{}",
        outcome.stderr
    );
    assert_eq!(world.statuspage().count("incident"), 0);
}

#[tokio::test]
async fn the_plan_prints_what_applying_it_sends() {
    let world = World::start().await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    world.statuspage().set_subscribers(PAGE, 143);

    let planned = portolan(&["reconcile", "--plan"], &world.pagerstatus())
        .await
        .expect_code(0);
    insta::assert_snapshot!(planned.stdout, @r"
    Status page Halyard (p9k3w8s2v5t1): 1 step

    - would open component:c0checkout00
        because     pagerduty/hugops/PX1 is acknowledged
        name        Investigating Errors in Checkout
        status      investigating
        components  Checkout (c0checkout00) → partial_outage
        notifies    143 subscribers

        | Our monitoring has detected errors in Checkout. An on-call engineer is investigating, and we will post an update here as soon as we know more.

    Nothing was changed: the mode is `plan`.
    ");
    let json = portolan(&["reconcile", "--plan", "--json"], &world.pagerstatus())
        .await
        .expect_code(0);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    let step = &report["pages"][0]["steps"][0];
    assert_eq!(
        world.statuspage().count("incident"),
        0,
        "a plan changes nothing"
    );

    portolan(&["reconcile"], &world.pagerstatus())
        .await
        .expect_code(0);
    let incidents = world.unresolved();
    assert_eq!(incidents[0]["name"], step["name"]);
    assert_eq!(incidents[0]["status"], step["status"]);
    assert_eq!(incidents[0]["incident_updates"][0]["body"], step["body"]);
    assert_eq!(incidents[0]["metadata"]["portolan"], step["record"]);
}
