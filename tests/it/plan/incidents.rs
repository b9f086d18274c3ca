//! The part of a plan that is about status pages: the plan of the incident sync.

use serde_json::json;

use super::{state, writes};
use crate::incident_sync::world::{COMPONENTS, World};
use crate::program::{portolan, with};

#[tokio::test]
async fn public_incidents_that_would_open_are_part_of_it_and_none_does() {
    let world = World::start().await;
    world.acknowledged("PX1", &[COMPONENTS[0].0]);
    let before = state(&world.sandbox);
    world.sandbox.clear_requests();
    let pagerstatus = world.pagerstatus();

    let planned = portolan(&["plan", "--json", "--exit-code"], &pagerstatus).await;
    let text = portolan(&["plan"], &pagerstatus).await.expect_code(0);
    let comment = portolan(&["plan", "--markdown"], &pagerstatus).await;

    let planned = planned.expect_code(4).stdout;
    let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
    assert_eq!(
        planned["catalog"],
        json!(null),
        "there are no Port credentials"
    );
    assert_eq!(planned["summary"]["incidents"], 1);
    let step = &planned["incidents"]["pages"][0]["steps"][0];
    assert_eq!(step["outcome"], "planned", "{step}");
    for told in [text.stdout, comment.expect_code(0).stdout] {
        assert!(told.contains("would open"), "{told}");
        assert!(told.contains("1 step on status pages"), "{told}");
    }
    assert_eq!(state(&world.sandbox), before);
    assert_eq!(writes(&world.sandbox), [""; 0]);
    assert_eq!(world.unresolved(), [json!(null); 0]);
    world.assert_sound();
}

#[tokio::test]
async fn a_mode_that_is_off_plans_the_catalog_alone_and_nothing_at_all_does_not_start() {
    let world = World::start().await;
    let environment = world.environment(&json!({}));
    let off = with(
        environment,
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE",
        "off",
    );

    let nothing = portolan(&["plan"], &off).await.expect_code(2);

    assert!(nothing.stdout.is_empty());
}
