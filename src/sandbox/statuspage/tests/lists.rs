//! The order of lists, lists that lag, and the count of subscribers.

use std::time::Duration;

use serde_json::json;

use super::{Halyard, ids};

#[tokio::test]
async fn of_those_opened_at_the_same_time_the_later_comes_first() {
    let halyard = Halyard::new().await;
    let first = halyard.open(json!({"name": "first"})).await;
    let second = halyard.open(json!({"name": "second"})).await;
    halyard.at("11:00:00");
    let oldest = halyard
        .open(json!({"name": "written last, dated first"}))
        .await;

    assert_eq!(
        ids(&halyard.get("incidents").await),
        [&second, &first, &oldest]
    );
}

#[tokio::test]
async fn a_list_that_lags_shows_incidents_as_they_were_and_single_ones_as_they_are() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let known = halyard
        .open(json!({"name": "known", "components": {"api": "major_outage"}}))
        .await;
    let doomed = halyard.open(json!({"name": "doomed"})).await;
    halyard.clock.advance(Duration::from_secs(1));
    statuspage.lag_lists(Duration::from_secs(5));

    let new = halyard.open(json!({"name": "new"})).await;
    halyard.change(&known, json!({"name": "changed"})).await;
    halyard.clock.advance(Duration::from_secs(4));
    halyard
        .change(
            &known,
            json!({"status": "resolved", "components": {"api": "operational"}}),
        )
        .await;
    let path = format!("/v1/pages/page/incidents/{doomed}");
    halyard.caller.call("DELETE", &path, None).await;

    let lagging = halyard.get("incidents/unresolved").await;
    assert_eq!(ids(&lagging), [&doomed, &known]);
    assert_eq!(lagging[1]["name"], "known");
    assert_eq!(lagging[1]["components"][0]["status"], "major_outage");
    let single = halyard.get(&format!("incidents/{known}")).await;
    assert_eq!(
        (&single["name"], &single["status"]),
        (&json!("changed"), &json!("resolved"))
    );
    assert_eq!(
        halyard.get(&format!("incidents/{new}")).await["id"],
        new.as_str()
    );

    halyard.clock.advance(Duration::from_secs(1));
    let later = halyard.get("incidents/unresolved").await;
    assert_eq!(
        ids(&later),
        [&new, &doomed, &known],
        "what was written five seconds ago is there"
    );
    assert_eq!(later[2]["name"], "changed");

    halyard.clock.advance(Duration::from_secs(4));
    assert_eq!(ids(&halyard.get("incidents/unresolved").await), [&new]);
    assert_eq!(ids(&halyard.get("incidents").await), [&new, &known]);
}

#[tokio::test]
async fn a_list_that_no_longer_lags_shows_everything() {
    let halyard = Halyard::new().await;
    halyard.sandbox.statuspage.lag_lists(Duration::from_secs(5));
    let id = halyard.open(json!({"name": "Errors"})).await;
    assert_eq!(halyard.get("incidents").await, json!([]));

    halyard.sandbox.statuspage.lag_lists(Duration::ZERO);

    assert_eq!(ids(&halyard.get("incidents").await), [&id]);
}

#[tokio::test]
async fn subscribers_are_counted_by_the_way_they_are_told() {
    let halyard = Halyard::new().await;
    let statuspage = &halyard.sandbox.statuspage;
    let none = json!({"email": 0, "sms": 0, "webhook": 0, "integration_partner": 0, "slack": 0});
    assert_eq!(halyard.get("subscribers/count").await, none);
    for (id, mode, quarantined_at) in [
        ("a", "email", json!(null)),
        ("b", "webhook", json!(null)),
        ("c", "webhook", json!("2026-05-01T00:00:00Z")),
    ] {
        let subscriber =
            json!({"id": id, "page_id": "page", "mode": mode, "quarantined_at": quarantined_at});
        statuspage.insert("subscriber", &subscriber);
    }
    statuspage.set_subscribers("page", 1_200);

    let active = halyard.get("subscribers/count").await;
    let all = halyard
        .get("subscribers/count?state=all&type=webhook")
        .await;

    assert_eq!(
        (&active["email"], &active["webhook"]),
        (&json!(1_201), &json!(1))
    );
    assert_eq!(all, json!({"webhook": 2}));
    let wrong = halyard
        .caller
        .get("/v1/pages/page/subscribers/count?type=pigeon")
        .await;
    assert_eq!(wrong.status, 400);
}
