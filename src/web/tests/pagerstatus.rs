//! Pagerstatus' routes, beside all others.

use super::*;

const ACKNOWLEDGED: &str = r#"{"messages":[{"event":"incident.acknowledge"}]}"#;

async fn start(path_prefix: Option<&str>) -> Running {
    Running::start_with(path_prefix, true, Some(&["hugops", "second", "metrics"])).await
}

#[tokio::test]
async fn it_answers_in_pagerstatus_words() {
    let web = start(None).await;
    let hello = web.get("/").send().await.unwrap();
    assert_eq!(hello.status(), 200);
    assert_eq!(json(hello).await, json!(["Hello from Pagerstatus"]));

    let performed = json!(["Performed sync"]);
    let no_need = json!(["No need to sync"]);
    let not_found = json!({"detail": "Not Found"});
    let bad = json!({"detail": "Bad Request"});
    let version_3 = r#"{"event":{"event_type":"incident.resolved"}}"#;
    let ping = r#"{"event":{"event_type":"pagey.ping"}}"#;
    let table = [
        ("/hugops", ACKNOWLEDGED, 200, &performed),
        ("/HugOps", ACKNOWLEDGED, 200, &performed),
        ("/%68ugops", ACKNOWLEDGED, 200, &performed),
        ("/second", version_3, 200, &performed),
        ("/hugops", ping, 200, &no_need),
        ("/hugops", "not JSON", 400, &bad),
        ("/hugops", "{}", 400, &bad),
        ("/another", ACKNOWLEDGED, 404, &not_found),
        ("/another", "not JSON", 404, &not_found),
        ("/%ff", ACKNOWLEDGED, 404, &not_found),
        ("/hugops/", ACKNOWLEDGED, 404, &not_found),
        ("/hugops/second", ACKNOWLEDGED, 404, &not_found),
    ];
    for (path, body, status, expected) in table {
        let before = web.hinted();
        let response = web.post(path).body(body).send().await.unwrap();
        assert_eq!(response.status(), status, "{path} {body}");
        assert_eq!(json(response).await, *expected, "{path} {body}");
        let hints = usize::from(*expected == performed);
        assert_eq!(web.hinted() - before, hints, "{path} {body}");
    }
    assert_eq!(web.asked(), 0);
}

#[tokio::test]
async fn an_account_is_in_nobodys_way() {
    let web = start(None).await;
    let resync = web.post("/resync").body(ACKNOWLEDGED).send().await.unwrap();
    assert_eq!(resync.text().await.unwrap(), "null");
    assert_eq!((web.asked(), web.hinted()), (1, 0));

    assert_eq!(web.status("/metrics").await, 200);
    assert_eq!(web.status("/health/live").await, 200);
    // An account of that name cannot be called; health comes first.
    let metrics = web.post("/metrics").body(ACKNOWLEDGED).send().await;
    assert_eq!(metrics.unwrap().status(), 405);
    assert_eq!(web.status("/hugops").await, 405);
    assert_eq!(web.hinted(), 0);
}

#[tokio::test]
async fn it_is_below_the_prefix_and_only_there() {
    for prefix in ["/pfx", "/resync", "/health/live", "/:id", "/*"] {
        let web = start(Some(prefix)).await;
        let hello = web.get(&format!("{prefix}/")).send().await.unwrap();
        assert_eq!(hello.status(), 200, "{prefix}");
        let below = web.post(&format!("{prefix}/hugops")).body(ACKNOWLEDGED);
        assert_eq!(below.send().await.unwrap().status(), 200, "{prefix}");
        assert_eq!(web.hinted(), 1, "{prefix}");

        assert_eq!(web.status("/").await, 404, "{prefix}");
        let above = web.post("/hugops").body(ACKNOWLEDGED).send().await;
        assert_eq!(above.unwrap().status(), 404, "{prefix}");
    }
}

#[tokio::test]
async fn without_accounts_there_is_no_such_route() {
    let web = Running::start(None, true).await;
    assert_eq!(web.status("/").await, 404);
    let call = web.post("/hugops").body(ACKNOWLEDGED).send().await.unwrap();
    assert_eq!(call.status(), 404);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let web = start(None).await;
    let large = vec![b' '; BODY_LIMIT as usize + 1];
    let refused = web.post("/hugops").body(large).send().await.unwrap();
    assert_eq!(refused.status(), 413);
    assert_eq!(web.hinted(), 0);
}
