//! A list of PagerDuty is complete, or it is an error.

use std::time::Duration;

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::{Value, json};

use crate::installed::{blueprint, install, resource};
use crate::program::{Outcome, portolan, small_sandbox};

fn thing(kind: &str, query: &Value) -> Value {
    let mut resource = resource(
        kind,
        &json!({"identifier": ".id", "blueprint": "\"thing\""}),
    );
    resource["selector"]["apiQueryParams"] = query.clone();
    resource
}

/// An account with these many services, and a mapping of this kind alone.
async fn account(services: u32, kind: &str, query: &Value) -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.pagerduty.clear();
    for number in 0..services {
        sandbox.pagerduty.insert("services", &service(number));
    }
    blueprint(&sandbox, "thing", &[], &[]);
    install(&sandbox, &json!({"resources": [thing(kind, query)]}));
    sandbox
}

fn service(number: u32) -> Value {
    let id = format!("S{number:05}");
    json!({"id": id, "type": "service", "name": id, "status": "active"})
}

async fn run(sandbox: &Sandbox) -> Outcome {
    portolan(&["run"], &sandbox.environment_for(SourceName::Pagerduty)).await
}

fn services_from(offset: &str) -> Matcher {
    Matcher::get("/services").with_query("offset", offset)
}

/// What the API would say if it forgot everything from `offset` on.
fn forgotten(offset: u32, total: u32) -> Answer {
    Answer::json(
        200,
        &json!({"services": [], "limit": 100, "offset": offset, "total": total, "more": false}),
    )
}

#[tokio::test]
async fn pages_are_turned_without_asking_twice() {
    for (services, pages) in [(0, 1), (99, 1), (100, 1), (101, 2), (250, 3)] {
        let sandbox = account(services, "services", &json!({})).await;

        run(&sandbox).await.expect_code(0);

        assert_eq!(sandbox.port.entities("thing").len(), services as usize);
        let requests = sandbox.pagerduty.requested(&Matcher::get("/services"));
        assert_eq!(requests, pages, "for {services} services");
    }
}

#[tokio::test]
async fn pages_that_fall_short_of_the_total_are_turned_again() {
    let sandbox = account(250, "services", &json!({})).await;
    sandbox
        .pagerduty
        .fault(services_from("100"), forgotten(100, 250), 1);

    let outcome = run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), 250);
    let (_, [fetched, ..]) = outcome.summary().remove(0);
    assert_eq!(fetched, 250, "nothing is counted twice");
}

#[tokio::test]
async fn a_list_that_stays_short_of_its_total_is_an_error() {
    let sandbox = account(250, "services", &json!({})).await;
    sandbox
        .pagerduty
        .fault(services_from("100"), forgotten(100, 250), usize::MAX);

    let outcome = run(&sandbox).await.expect_code(3);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("100 of 250"), "{errors:?}");
    assert_eq!(
        sandbox.port.resync_states().last().unwrap()["status"],
        "failed"
    );
}

#[tokio::test]
async fn a_first_page_that_falls_short_of_the_total_is_not_the_whole() {
    let sandbox = account(250, "services", &json!({})).await;
    sandbox
        .pagerduty
        .fault(services_from("0"), forgotten(0, 250), 1);
    // The check of the credentials asks for users.
    run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), 250);
}

#[tokio::test]
async fn an_endpoint_that_serves_small_pages_is_read_to_its_end() {
    let sandbox = account(0, "services", &json!({})).await;
    for offset in [0, 25, 50] {
        let services: Vec<Value> = (offset..offset + 25).map(service).collect();
        sandbox.pagerduty.fault(
            services_from(&offset.to_string()),
            Answer::json(
                200,
                &json!({"services": services, "limit": 25, "offset": offset, "total": 75, "more": offset < 50}),
            ),
            1,
        );
    }

    run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), 75);
}

#[tokio::test]
async fn an_object_that_slips_to_a_page_already_turned_is_found() {
    let sandbox = account(150, "services", &json!({})).await;
    sandbox.pagerduty.fault(
        services_from("100"),
        Answer::real().after(Duration::from_millis(300)),
        1,
    );
    let running = run(&sandbox);
    let deleting = async {
        // Between the two pages a service of the first one goes.
        while sandbox.pagerduty.requested(&services_from("100")) == 0 {
            tokio::task::yield_now().await;
        }
        sandbox.pagerduty.remove("services", "S00000");
    };

    let (outcome, ()) = tokio::join!(running, deleting);

    outcome.expect_code(0);
    assert!(
        sandbox.port.entity("thing", "S00100").is_some(),
        "the first of the second page is on the first one now"
    );
}

#[tokio::test]
async fn new_incidents_do_not_make_up_for_old_ones_that_were_not_read() {
    let query = json!({"date_range": "all"});
    let sandbox = account(0, "incidents", &query).await;
    let incident = |number: u32, created: jiff::Timestamp| json!({"id": format!("Q{number}"), "type": "incident", "status": "resolved", "created_at": created.to_string()});
    let now = jiff::Timestamp::now();
    let hours = |hours| now - jiff::SignedDuration::from_hours(hours);
    // Thirty old ones, and as many recent ones as it takes to be too many.
    for number in 0..30 {
        let years = i64::from(number) * 24 * 180;
        sandbox
            .pagerduty
            .insert("incidents", &incident(number, hours(8_760 + years)));
    }
    for number in 100..10_100 {
        let created = hours(1 + i64::from(number % 2_000));
        sandbox
            .pagerduty
            .insert("incidents", &incident(number, created));
    }
    // While the recent ones are read, as many new ones come as there are old ones.
    let running = run(&sandbox);
    let creating = async {
        let windows = Matcher::get("/incidents").with_query("offset", "100");
        while sandbox.pagerduty.requested(&windows) == 0 {
            tokio::task::yield_now().await;
        }
        for number in 20_000..20_030 {
            sandbox
                .pagerduty
                .insert("incidents", &incident(number, hours(2)));
        }
    };

    let (outcome, ()) = tokio::join!(running, creating);

    outcome.expect_code(0);
    for number in 0..30 {
        let id = format!("Q{number}");
        assert!(sandbox.port.entity("thing", &id).is_some(), "{id}");
    }
}

#[tokio::test]
async fn log_entries_are_read_window_by_window_when_there_are_too_many() {
    let sandbox = account(0, "log_entries", &json!({})).await;
    let start: jiff::Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    for number in 0..10_200_i64 {
        let created = start + jiff::SignedDuration::from_secs(number * 600);
        sandbox.pagerduty.insert(
            "log_entries",
            &json!({"id": format!("L{number}"), "type": "notify_log_entry", "created_at": created.to_string()}),
        );
    }

    run(&sandbox).await.expect_code(0);

    assert_eq!(sandbox.port.entities("thing").len(), 10_200);
}

#[tokio::test]
async fn what_has_no_time_and_is_too_much_is_told() {
    let sandbox = account(10_001, "services", &json!({})).await;

    let outcome = run(&sandbox).await.expect_code(1);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("10000 of 10001"), "{errors:?}");
}
