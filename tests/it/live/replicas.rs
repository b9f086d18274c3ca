//! Several replicas of the real binary on one real Redis: all of them take and work
//! on events, one of them leads, and another one soon after that is gone.
//!
//! A Redis that was started a moment ago lets nobody lead for some seconds, so all of
//! these take a while.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use portolan::sandbox::port::CLIENT_SECRET;
use portolan::sandbox::{Answer, Clock, Gate, Matcher, RecordedRequest, Sandbox};
use portolan::settings::SourceName;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::redis::RedisServer;
use super::vendor::{Plan, Vendor, until};
use crate::incident_sync::world::World;
use crate::program::{Outcome, portolan_in, small_sandbox, with};
use crate::running::{Running, listening, polling};
use crate::service::{call, completed};

/// Nothing here takes this long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_mins(3);

/// How soon another replica leads.
const TAKEOVER: SignedDuration = SignedDuration::from_secs(15);

fn sharing(environment: Vec<(String, String)>, redis: &RedisServer) -> Vec<(String, String)> {
    with(environment, "OCEAN__LIVE_EVENTS__REDIS__URL", &redis.url())
}

/// Whether it says that it leads.
async fn leads(running: &Running) -> bool {
    let answer = running.request(Method::GET, "/metrics").send().await;
    let text = answer.unwrap().text().await.unwrap();
    text.lines().any(|line| line == "portolan_leader 1")
}

/// Which of them leads, as soon as one does.
async fn leader(replicas: &[Running]) -> usize {
    loop {
        for (place, replica) in replicas.iter().enumerate() {
            if leads(replica).await {
                return place;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// What only a leader asks of Port: all that has to do with resyncs.
fn acts_of_leaders(sandbox: &Sandbox) -> Vec<RecordedRequest> {
    let mut acts = sandbox.port.requests();
    acts.retain(|request| {
        request.path.ends_with("/resync-request")
            || request.path.ends_with("/resync-state")
            || request.parameter("ocean_info_resync_id").is_some()
    });
    acts
}

/// Who acted as the leader, in that order, and when each began: each process has its
/// own token, and nobody may come back once somebody else has begun.
#[track_caller]
fn assert_one_after_another(sandbox: &Sandbox) -> Vec<(u64, Timestamp)> {
    let mut leaders: Vec<(u64, Timestamp)> = Vec::new();
    for act in acts_of_leaders(sandbox) {
        if leaders.last().is_some_and(|(last, _)| *last == act.sender) {
            continue;
        }
        let is_back = leaders.iter().any(|(earlier, _)| *earlier == act.sender);
        assert!(!is_back, "{} {} after another leader", act.method, act.path);
        leaders.push((act.sender, act.at));
    }
    leaders
}

/// Ten thousand events about five hundred alerts.
const PLAN: Plan = Plan {
    senders: 25,
    rounds: 20,
    busy: 20,
    once: 0,
};

/// A kill after each so many events: every third is of the leader.
const KILLS: usize = 10;
const BETWEEN_KILLS: usize = 900;

/// So many more are told meanwhile.
const UNDER_WAY: usize = 600;

/// The rounds that each alert went through in Port, as they came there.
fn rounds(sandbox: &Sandbox) -> Vec<(String, usize)> {
    let writes = Matcher::post("/v1/blueprints/alert/entities/bulk");
    let written = sandbox.port.requests_to(&writes);
    let entities = written.iter().flat_map(|request| {
        let body = request.json();
        let entities = body["entities"].as_array().cloned();
        entities.expect("bodies are remembered")
    });
    entities
        .map(|entity| {
            let title = entity["title"].as_str().unwrap();
            let round = title.strip_prefix("Round ").unwrap().parse().unwrap();
            (entity["identifier"].as_str().unwrap().to_owned(), round)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_that_are_killed_in_turn_lose_no_event_and_never_lead_at_once() {
    let redis = RedisServer::start();
    let vendor = Vendor::start(PLAN).await;
    vendor.allow(BETWEEN_KILLS + UNDER_WAY);
    let environment = vendor.environment("POLLING");
    let environment = with(environment, "OCEAN__EVENT_LISTENER__INTERVAL", "1");
    let environment = &sharing(environment, &redis);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();

    let killing = async {
        let mut replicas = Vec::new();
        for number in 0..3 {
            let own = directory.join(number.to_string());
            std::fs::create_dir(&own).unwrap();
            replicas.push(vendor.begin(&own, environment).await);
        }
        let mut leaders_gone = Vec::new();
        for kill in 0..KILLS {
            vendor.until_taken((kill + 1) * BETWEEN_KILLS).await;
            let leader = leader(&replicas).await;
            let is_leaders_turn = kill % 3 == 0;
            let victim = if is_leaders_turn {
                leader
            } else {
                (leader + 1) % 3
            };
            let running = replicas.swap_remove(victim);
            running.signal("KILL").await;
            let gone = Timestamp::now();
            if is_leaders_turn {
                leaders_gone.push(gone);
            }
            vendor.forget(&running);
            let outcome = running.end().await;
            assert_eq!(outcome.code, None, "it had ended: {}", outcome.stderr);
            vendor.allow((kill + 2) * BETWEEN_KILLS + UNDER_WAY);
            let own = directory.join(format!("after-{kill}"));
            std::fs::create_dir(&own).unwrap();
            replicas.push(vendor.begin(&own, environment).await);
        }
        vendor.allow(usize::MAX);
        leader(&replicas).await;
        (replicas, leaders_gone)
    };
    let all = async {
        let senders = (0..PLAN.senders).map(|sender| vendor.send(sender));
        let (killed, _) = tokio::join!(killing, join_all(senders));
        vendor.until_done(directory, environment).await;
        killed
    };
    let (replicas, leaders_gone) = timeout(PATIENCE, all).await.expect("it comes to its end");

    assert_eq!(vendor.taken.load(Ordering::Relaxed), PLAN.events());
    assert!(
        vendor.refused.load(Ordering::Relaxed) > 0,
        "no kill was felt"
    );
    vendor.assert_all_is_right();
    assert_eq!(vendor.sandbox.problems(), Vec::<String>::new());
    let mut last = std::collections::BTreeMap::new();
    for (alert, round) in rounds(&vendor.sandbox) {
        let before = last.insert(alert.clone(), round);
        assert!(before <= Some(round), "{alert}: {round} after {before:?}");
    }
    let leaders = assert_one_after_another(&vendor.sandbox);
    assert_eq!(leaders.len(), leaders_gone.len() + 1);
    for (gone, (_, began)) in leaders_gone.iter().zip(&leaders[1..]) {
        let took = began.duration_since(*gone);
        assert!(took < TAKEOVER, "it took {took:#}");
    }
    for replica in replicas {
        replica.terminate().await.expect_code(143);
    }
}

/// Two replicas, the leader first, and where they live.
async fn two(environment: &[(String, String)]) -> ([Running; 2], [TempDir; 2]) {
    let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let begin = |place: usize| Running::start_in(directories[place].path(), environment);
    let (first, second) = tokio::join!(begin(0), begin(1));
    let mut replicas = [first, second];
    let finding = leader(&replicas);
    if timeout(PATIENCE, finding).await.expect("one of them leads") == 1 {
        replicas.reverse();
    }
    (replicas, directories)
}

#[tokio::test]
async fn a_leader_that_hung_drops_what_it_was_doing_and_the_next_one_has_it_done() {
    let redis = RedisServer::start();
    let sandbox = small_sandbox().await;
    let environment = sharing(polling(&sandbox), &redis);
    // The first resync is in the middle when its process is stopped.
    let gate = Gate::closed();
    let list = Matcher::get("/incidents");
    sandbox.pagerduty.fault(list, Answer::real().held(&gate), 1);
    let ([first, second], _directories) = two(&environment).await;
    timeout(PATIENCE, gate.reached()).await.unwrap();

    first.signal("STOP").await;
    second
        .until("the other one has resynced", || completed(&sandbox) == 1)
        .await;
    gate.open();
    first.signal("CONT").await;
    first.until_logged("The resync was broken off").await;
    first.until_logged("Standing by: ").await;

    assert!(!leads(&first).await && leads(&second).await);
    assert_eq!(assert_one_after_another(&sandbox).len(), 2);
    assert_eq!(sandbox.problems(), Vec::<String>::new());
    first.terminate().await.expect_code(143);
    second.terminate().await.expect_code(143);
}

#[tokio::test]
async fn a_replica_that_stands_by_is_ready_and_passes_on_what_it_is_asked_for() {
    let redis = RedisServer::start();
    let sandbox = small_sandbox().await;
    let environment = listening(&sandbox, "WEBHOOK");
    let environment = with(
        environment,
        "OCEAN__EVENT_LISTENER__APP_HOST",
        "https://portolan.example.com",
    );
    let environment = sharing(environment, &redis);
    let ([first, second], _directories) = two(&environment).await;
    let ready = second.request(Method::GET, "/health/ready").send().await;
    assert_eq!(ready.unwrap().status(), 200);

    // Nobody resyncs before somebody asks for it: the one that only stands by.
    let gate = Gate::closed();
    let list = Matcher::get("/incidents");
    sandbox.pagerduty.fault(list, Answer::real().held(&gate), 1);
    assert_eq!(call(&second, CLIENT_SECRET).await, 200);
    timeout(PATIENCE, gate.reached()).await.unwrap();
    assert_eq!(completed(&sandbox), 0);

    // The leader has to end in the middle of it, so it is the other one's to do.
    first.signal("TERM").await;
    gate.open();
    let ended = first.end().await.expect_code(143);
    second
        .until("the resync was run by the other one", || {
            completed(&sandbox) == 1
        })
        .await;

    assert!(leads(&second).await);
    assert_eq!(assert_one_after_another(&sandbox).len(), 2);
    assert!(ended.stderr.contains("This replica does not lead any more"));
    assert_eq!(sandbox.problems(), Vec::<String>::new());
    second.terminate().await.expect_code(143);
}

#[tokio::test]
async fn one_of_three_sets_up_a_port_in_which_there_is_nothing_yet() {
    let redis = RedisServer::start();
    let sandbox = small_sandbox().await;
    let environment = sharing(polling(&sandbox), &redis);
    let starting = (0..3).map(|_| Running::start(&environment));

    let replicas = join_all(starting).await;
    replicas[0]
        .until("there was a resync", || completed(&sandbox) == 1)
        .await;

    let created = sandbox.port.requests_to(&Matcher::post("/v1/integration"));
    assert_eq!(created.len(), 1);
    let mut blueprints: Vec<Value> = sandbox
        .port
        .requests_to(&Matcher::post("/v1/blueprints"))
        .iter()
        .map(|request| request.json()["identifier"].clone())
        .collect();
    let all = blueprints.len();
    blueprints.sort_by_key(ToString::to_string);
    blueprints.dedup();
    assert!(
        all > 0 && all == blueprints.len(),
        "{all} and {blueprints:?}"
    );
    assert_one_after_another(&sandbox);
    assert_eq!(sandbox.problems(), Vec::<String>::new());
    for replica in replicas {
        replica.terminate().await.expect_code(143);
    }
}

#[tokio::test]
async fn a_hint_that_reaches_one_that_stands_by_makes_one_public_incident() {
    let redis = RedisServer::start();
    let world = World::start_at(Clock::real()).await;
    let environment = with(
        world.pagerstatus(),
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC",
        &json!({"interval": "1h"}).to_string(),
    );
    let environment = sharing(environment, &redis);
    let ([first, second], _directories) = two(&environment).await;
    let lists = Matcher::get("/v1/pages/*/components*");
    first
        .until("the first pass is over", || {
            world.sandbox.statuspage.requested(&lists) > 0
        })
        .await;
    world.acknowledged("P1", &["Checkout"]);

    let acknowledged = json!({"messages": [{"event": "incident.acknowledge"}]});
    let hint = || async {
        let call = second.request(Method::POST, "/hugops");
        let answer = call.body(acknowledged.to_string()).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    };
    hint().await;
    first
        .until("the incident is public", || world.unresolved().len() == 1)
        .await;

    // Whoever leads next knows it for ours.
    first.signal("KILL").await;
    first.end().await;
    second.until_logged("This replica leads").await;
    world.pagerduty().resolve("P1");
    hint().await;
    second
        .until("the incident is resolved", || world.unresolved().is_empty())
        .await;
    assert_eq!(world.sandbox.statuspage.objects("incident").len(), 1);
    second.terminate().await.expect_code(143);
}

/// One page with one component, and a mapping of nothing else.
async fn one_component() -> Sandbox {
    let sandbox = small_sandbox().await;
    sandbox.statuspage.clear();
    let page = json!({"id": "live-page", "name": "Page"});
    sandbox.statuspage.insert("statuspage", &page);
    set(&sandbox, "operational");
    crate::installed::blueprint(&sandbox, "component", &[("status", "string")], &[]);
    let mappings = json!({
        "identifier": ".id", "title": ".name", "blueprint": "\"component\"",
        "properties": {"status": ".status"},
    });
    let components = crate::installed::resource("component", &mappings);
    crate::installed::install(&sandbox, &json!({"resources": [components]}));
    sandbox
}

fn set(sandbox: &Sandbox, status: &str) {
    let component = json!({
        "id": "live-1", "page_id": "live-page", "name": "Checkout", "group": false,
        "status": status, "position": 1,
    });
    sandbox.statuspage.insert("component", &component);
}

fn status(sandbox: &Sandbox) -> Value {
    let entity = sandbox.port.entity("component", "live-1");
    entity.unwrap_or_default()["properties"]["status"].clone()
}

/// Runs a resync in a process of its own beside a service on the same Redis, and has
/// something happen while a reply to the former is held.
async fn resync_beside_a_service(
    sandbox: &Sandbox,
    hold: impl FnOnce(&Gate),
    meanwhile: impl AsyncFnOnce(&Running),
) -> Outcome {
    let redis = RedisServer::start();
    let environment = sandbox.environment_for(SourceName::Statuspage);
    let service = with(
        environment.clone(),
        "OCEAN__EVENT_LISTENER__TYPE",
        "WEBHOOKS_ONLY",
    );
    let running = Running::start(&sharing(service, &redis)).await;
    let once = sharing(environment, &redis);
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::closed();
    hold(&gate);
    let mut resyncing = Box::pin(portolan_in(directory.path(), &["run", "--once"], &once));
    let during = async {
        gate.reached().await;
        meanwhile(&running).await;
    };
    tokio::select! {
        outcome = &mut resyncing => panic!("it ended too early: {}", outcome.stderr),
        in_time = timeout(PATIENCE, during) => in_time.expect("it comes to its end"),
    }
    gate.open();
    let outcome = resyncing.await;
    running
        .until("the event is in the catalog", || {
            status(sandbox) == "partial_outage"
        })
        .await;
    running.terminate().await.expect_code(143);
    outcome
}

/// Tells the service that the component has changed.
async fn tell(sandbox: &Sandbox, running: &Running) {
    let token = super::service::token();
    let port = running.port;
    let address = format!("http://127.0.0.1:{port}/integration/webhook/statuspage?token={token}");
    let address = address.parse().unwrap();
    let webhook = sandbox
        .statuspage
        .component_webhook_to(&address, "live-1", "operational");
    assert_eq!(webhook.post(&super::service::client()).await.unwrap(), 200);
}

#[tokio::test]
async fn a_resync_of_another_process_does_not_overwrite_what_an_event_wrote() {
    let sandbox = one_component().await;
    let list = Matcher::get("/v1/pages/live-page/components");
    // The page differs from what is in Port, so it would be written.
    let hold = |gate: &Gate| {
        let held = Answer::real().held(gate);
        sandbox.statuspage.fault(list, held, 1);
    };
    let outcome = resync_beside_a_service(&sandbox, hold, async |running| {
        set(&sandbox, "partial_outage");
        tell(&sandbox, running).await;
        running
            .until("the event is in the catalog", || {
                status(&sandbox) == "partial_outage"
            })
            .await;
    })
    .await;

    outcome.expect_code(0);
    assert_eq!(status(&sandbox), "partial_outage");
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn an_event_waits_for_the_request_of_another_process_that_is_on_its_way() {
    let sandbox = one_component().await;
    let writes = Matcher::post("/v1/blueprints/component/entities/bulk");
    let hold = |gate: &Gate| {
        let held = Answer::real().held(gate);
        sandbox.port.fault(writes.clone(), held, 1);
    };
    let outcome = resync_beside_a_service(&sandbox, hold, async |running| {
        set(&sandbox, "partial_outage");
        tell(&sandbox, running).await;
        let fetched = Matcher::get("/v1/pages/live-page/components/live-1");
        until(|| sandbox.statuspage.requested(&fetched) > 0).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(sandbox.port.requested(&writes), 1, "it did not wait");
    })
    .await;

    outcome.expect_code(0);
    assert_eq!(status(&sandbox), "partial_outage");
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_resync_that_is_run_once_does_without_a_redis_that_is_away() {
    let sandbox = one_component().await;
    let mut redis = RedisServer::start();
    let environment = sandbox.environment_for(SourceName::Statuspage);
    let environment = sharing(environment, &redis);
    redis.kill();

    let outcome = crate::program::portolan(&["run", "--once"], &environment).await;

    let outcome = outcome.expect_code(0);
    assert_eq!(status(&sandbox), "operational");
    let warnings = outcome.logged("WARNING");
    let says = |what: &str| warnings.iter().filter(|one| one.contains(what)).count();
    assert_eq!(says("cannot be reached"), 1, "{warnings:?}");
    assert_eq!(says("Going on without the Redis"), 1, "{warnings:?}");
}

#[tokio::test]
async fn a_replica_is_stopped_at_once_while_port_does_not_say_where_log_lines_go() {
    let redis = RedisServer::start();
    let sandbox = small_sandbox().await;
    let gate = Gate::closed();
    let integration = Matcher::get("/v1/integration/*");
    let held = Answer::real().held(&gate);
    sandbox.port.fault(integration, held, usize::MAX);
    let running = Running::start(&sharing(polling(&sandbox), &redis)).await;
    timeout(PATIENCE, gate.reached()).await.unwrap();

    running.terminate().await.expect_code(143);
}

#[tokio::test]
async fn what_keeps_the_catalog_from_starting_does_not_take_the_incident_sync_along() {
    let redis = RedisServer::start();
    let world = World::start_at(Clock::real()).await;
    let refused = Matcher::get("/v1/integration/*");
    world
        .sandbox
        .port
        .fault(refused, Answer::status(403), usize::MAX);
    let mut environment = polling(&world.sandbox);
    environment.extend(world.environment(&json!({"mode": "apply", "interval": "1h"})));
    // The account of the single token is a source of the catalog already.
    environment.retain(|(name, _)| !name.ends_with("PAGERDUTY_ACCOUNTS"));
    let running = Running::start(&sharing(environment, &redis)).await;

    running.until_logged("Cannot prepare Port").await;
    world.acknowledged("P1", &["Checkout"]);
    running.until_logged("it is tried again in 60 s").await;

    running.terminate().await.expect_code(143);
}

#[tokio::test]
async fn whoever_leads_next_does_not_open_a_second_incident_that_lists_do_not_show_yet() {
    let redis = RedisServer::start();
    let world = World::start_at(Clock::real()).await;
    world.sandbox.statuspage.lag_lists(Duration::from_secs(10));
    world.acknowledged("P1", &["Checkout"]);
    let environment = with(
        world.pagerstatus(),
        "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC",
        &json!({"interval": "5s"}).to_string(),
    );
    let environment = sharing(environment, &redis);
    let ([first, second], _directories) = two(&environment).await;
    first
        .until("the incident is public", || {
            world.sandbox.statuspage.objects("incident").len() == 1
        })
        .await;

    first.terminate().await.expect_code(143);
    second.until_logged("This replica leads").await;
    sleep(Duration::from_secs(20)).await;

    assert_eq!(world.sandbox.statuspage.objects("incident").len(), 1);
    second.terminate().await.expect_code(143);
}
