//! The rules of the simulated status pages, through real HTTP.

mod lists;
mod people;
mod refusals;
mod subscribers;
mod writing;

use serde_json::{Value, json};

use super::super::tests::{Caller, small, statuspage_caller};
use super::super::{Clock, RateLimit, Sandbox, SandboxOptions};
use super::{API_KEY, TooMany};

/// A page `page` at noon of the first of June 2026 with the components `api` and
/// `db`, both in the group `Backend`, and `web`, which is in none.
struct Halyard {
    sandbox: Sandbox,
    caller: Caller,
    clock: Clock,
}

impl Halyard {
    async fn new() -> Self {
        let clock = Clock::fixed("2026-06-01T12:00:00Z".parse().unwrap());
        let sandbox = Sandbox::start_at(SandboxOptions::default(), clock.clone())
            .await
            .unwrap();
        let statuspage = &sandbox.statuspage;
        statuspage.clear();
        statuspage.insert("statuspage", &json!({"id": "page", "name": "Page"}));
        let group = json!({"id": "backend", "page_id": "page", "name": "Backend", "components": ["api", "db"]});
        statuspage.insert("component_group", &group);
        for (id, name, group) in [
            ("api", "API", json!("backend")),
            ("db", "Database", json!("backend")),
            ("web", "Website", Value::Null),
        ] {
            let component = json!({
                "id": id, "page_id": "page", "group_id": group, "name": name, "group": false,
                "status": "operational", "updated_at": "2026-01-01T00:00:00Z",
            });
            statuspage.insert("component", &component);
        }
        let caller = statuspage_caller(&sandbox);
        Self {
            sandbox,
            caller,
            clock,
        }
    }

    fn at(&self, time: &str) {
        self.clock
            .set(format!("2026-06-01T{time}Z").parse().unwrap());
    }

    /// Opens an incident with these fields and gives its identifier.
    async fn open(&self, fields: Value) -> String {
        let body = json!({ "incident": fields });
        let reply = self.caller.post("/v1/pages/page/incidents", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.body["id"].as_str().unwrap().to_owned()
    }

    /// Changes an incident and gives it as the reply shows it.
    async fn change(&self, id: &str, fields: Value) -> Value {
        let body = json!({ "incident": fields });
        let path = format!("/v1/pages/page/incidents/{id}");
        let reply = self.caller.patch(&path, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    async fn get(&self, path: &str) -> Value {
        self.caller
            .get(&format!("/v1/pages/page/{path}"))
            .await
            .body
    }

    fn component_status(&self, id: &str) -> Value {
        self.sandbox.statuspage.object("component", id).unwrap()["status"].clone()
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one["id"].as_str().unwrap()).collect()
}

async fn with_incidents(count: usize) -> (Sandbox, Caller) {
    let sandbox = small().await;
    sandbox.statuspage.clear();
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "page", "name": "Page"}));
    for number in 0..count {
        let created = format!("2026-01-{:02}T{:02}:00:00Z", number / 24 + 1, number % 24);
        let incident = json!({"id": format!("i{number}"), "page_id": "page", "status": "resolved", "created_at": created, "incident_updates": []});
        sandbox.statuspage.insert("incident", &incident);
    }
    let caller = statuspage_caller(&sandbox);
    (sandbox, caller)
}

fn length(list: &Value) -> usize {
    list.as_array().unwrap().len()
}

#[tokio::test]
async fn the_key_is_taken_in_each_of_its_forms() {
    let sandbox = small().await;
    let url = || sandbox.statuspage.url();

    assert_eq!(
        statuspage_caller(&sandbox).get("/v1/pages").await.status,
        200
    );
    assert_eq!(
        Caller::new(url(), API_KEY)
            .get("/v1/pages.json")
            .await
            .status,
        200
    );
    let wrong = Caller::new(url(), "OAuth wrong").get("/v1/pages").await;
    assert_eq!(wrong.status, 401);
    assert!(wrong.body["error"].is_string());
}

#[tokio::test]
async fn a_key_for_some_pages_sees_only_those() {
    let sandbox = small().await;
    sandbox
        .statuspage
        .accept_key("narrow", Some(&["8m2l51279rpl"]));
    let caller = Caller::new(sandbox.statuspage.url(), "OAuth narrow");
    let pages = sandbox.statuspage.objects("statuspage");
    let other = pages
        .iter()
        .map(|page| page["id"].as_str().unwrap())
        .find(|id| *id != "8m2l51279rpl");

    assert_eq!(length(&caller.get("/v1/pages").await.body), 1);
    let path = format!("/v1/pages/{}/incidents", other.unwrap());
    assert_eq!(caller.get(&path).await.status, 403);
    assert_eq!(
        caller.get("/v1/pages/nosuchpage00/incidents").await.status,
        404
    );
}

#[tokio::test]
async fn lists_are_bare_arrays_of_at_most_100_and_end_in_an_empty_one() {
    let (_sandbox, caller) = with_incidents(150).await;
    let get = async |query: &str| {
        caller
            .get(&format!("/v1/pages/page/incidents{query}"))
            .await
            .body
    };

    let first = get("").await;
    assert_eq!(length(&first), 100);
    assert_eq!(first[0]["id"], "i149", "newest first");
    assert_eq!(
        length(&get("?limit=500").await),
        100,
        "cut down without a word"
    );
    assert_eq!(length(&get("?limit=100&page=2").await), 50);
    assert_eq!(length(&get("?limit=100&page=3").await), 0);
    assert_eq!(length(&get("?limit=20&page=8").await), 10);
}

#[tokio::test]
async fn groups_show_up_among_the_components_as_groups() {
    let sandbox = small().await;
    let caller = statuspage_caller(&sandbox);

    let listed = caller.get("/v1/pages/8m2l51279rpl/components").await.body;
    let groups = caller
        .get("/v1/pages/8m2l51279rpl/component-groups")
        .await
        .body;

    let listed = listed.as_array().unwrap();
    assert_eq!(listed.iter().filter(|one| one["group"] == false).count(), 5);
    let pseudo: Vec<_> = listed.iter().filter(|one| one["group"] == true).collect();
    assert_eq!(pseudo.len(), 1);
    assert_eq!(pseudo[0]["id"], groups[0]["id"]);
}

#[tokio::test]
async fn subscribers_count_their_pages_from_zero() {
    let (sandbox, caller) = with_incidents(0).await;
    let subscriber = json!({"id": "s", "page_id": "page", "mode": "webhook", "endpoint": "https://example.com/hook"});
    sandbox.statuspage.insert("subscriber", &subscriber);
    let get = async |page: u32| {
        caller
            .get(&format!(
                "/v1/pages/page/subscribers?type=webhook&page={page}"
            ))
            .await
            .body
    };

    assert_eq!(get(0).await, json!([subscriber]));
    assert_eq!(get(1).await, json!([]));
}

#[tokio::test]
async fn single_objects_are_found_on_their_own_page_only() {
    let (sandbox, caller) = with_incidents(1).await;
    sandbox
        .statuspage
        .insert("statuspage", &json!({"id": "other", "name": "Other"}));

    assert_eq!(
        caller.get("/v1/pages/page/incidents/i0").await.body["id"],
        "i0"
    );
    assert_eq!(caller.get("/v1/pages/other/incidents/i0").await.status, 404);
    assert_eq!(caller.get("/v1/pages/page").await.body["name"], "Page");
    assert!(
        sandbox
            .statuspage
            .update("incident", "i0", |one| one["name"] = json!("Renamed"))
    );
    assert_eq!(
        caller.get("/v1/pages/page/incidents/i0.json").await.body["name"],
        "Renamed"
    );
    assert!(sandbox.statuspage.remove("incident", "i0").is_some());
    assert_eq!(caller.get("/v1/pages/page/incidents/i0").await.status, 404);
    assert!(sandbox.statuspage.unexpected().is_empty());
}

#[tokio::test]
async fn excess_is_refused_with_either_status() {
    let (sandbox, caller) = with_incidents(0).await;
    let limit = RateLimit {
        requests: 0,
        enforced: true,
        ..sandbox.statuspage.rate_limit()
    };
    sandbox.statuspage.set_rate_limit(limit);

    assert_eq!(caller.get("/v1/pages").await.status, 429);
    sandbox
        .statuspage
        .refuse_excess_with(TooMany::EnhanceYourCalm);
    assert_eq!(caller.get("/v1/pages").await.status, 420);
}

#[tokio::test]
async fn the_company_counts_what_its_lists_show() {
    let sandbox = small().await;
    let caller = statuspage_caller(&sandbox);
    let mut seen = (0, 0);
    for page in sandbox.statuspage.objects("statuspage") {
        let path = format!("/v1/pages/{}/incidents", page["id"].as_str().unwrap());
        let incidents = caller.get(&path).await.body;
        seen.0 += length(&incidents);
        let updates = incidents.as_array().unwrap().iter();
        seen.1 += updates
            .map(|one| length(&one["incident_updates"]))
            .sum::<usize>();
    }

    assert_eq!(seen.0, sandbox.statuspage.count("incident"));
    assert_eq!(seen.1, sandbox.statuspage.count("incident_update"));
}
