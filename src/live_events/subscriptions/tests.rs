use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::http::testing::{Answer, Server, outbound};
use crate::settings::{Credential, OpsgenieAccount, PagerdutyAccount, StatuspageAccount};
use crate::telemetry::{LogFormat, LogLevel, Masker, Sink};

fn limits() -> RateLimits {
    RateLimits {
        statuspage_per_minute: 60_000,
        pagerduty_per_minute: 60_000,
        opsgenie_per_minute: None,
    }
}

fn subscriptions(sources: &SourceSettings) -> Subscriptions {
    let base = "https://h.example".parse().unwrap();
    let token = SecretString::from("hunter2-webhook-token");
    let address = WebhookAddress::new(&base, None, "mine", token);
    Subscriptions::new(sources, &outbound(), &limits(), address, Arc::new(|_| {})).unwrap()
}

fn pagerduty(server: &Server) -> SourceSettings {
    SourceSettings {
        pagerduty: vec![PagerdutyAccount {
            name: Some("eu".to_owned()),
            api_url: server.url.clone(),
            token: Credential::Fixed(SecretString::from("t")),
        }],
        ..SourceSettings::default()
    }
}

#[test]
fn what_may_pass_by_itself_is_looked_at_again_sooner() {
    let of = |failed, passing| Passed {
        kept: 1,
        failed,
        passing,
    };
    assert_eq!(of(0, 0).pause(), INTERVAL);
    assert_eq!(of(2, 0).pause(), INTERVAL);
    assert_eq!(of(2, 1).pause(), AFTER_TROUBLE);
}

#[test]
fn a_refusal_needs_somebody_and_an_outage_does_not() {
    let problem = |status: u16| {
        let call = crate::http::Call {
            method: "GET",
            url: crate::http::SafeUrl::from(&"https://v.example".parse::<Url>().unwrap()),
            attempts: 1,
        };
        Problem::from(ApiError::Refused {
            call,
            status,
            summary: "why".to_owned(),
            code: None,
            quota_spent: false,
            hint: Some("do this"),
        })
    };
    for status in [400, 401, 402, 403, 404, 422] {
        assert!(problem(status).needs_somebody, "{status}");
    }
    for status in [408, 420, 429, 500, 503] {
        assert!(!problem(status).needs_somebody, "{status}");
    }
    assert!(problem(403).text.ends_with("why. Hint: do this"));
}

#[tokio::test]
async fn a_problem_is_said_once_until_it_changes_and_so_is_its_end() {
    let refusal = |status| {
        let body = json!({"error": {"message": "No", "code": 2010}});
        Answer::json(&body).with_status(status)
    };
    let none = json!({"webhook_subscriptions": [], "more": false});
    let created = json!({"webhook_subscription": {"id": "P1"}});
    let right = json!({"webhook_subscriptions": [{
        "id": "P1", "active": true, "events": [
            "incident.acknowledged", "incident.annotated", "incident.delegated",
            "incident.escalated", "incident.priority_updated", "incident.reassigned",
            "incident.reopened", "incident.resolved", "incident.responder.added",
            "incident.responder.replied", "incident.status_update_published",
            "incident.triggered", "incident.unacknowledged", "service.created",
            "service.deleted", "service.updated",
        ],
        "description": subscriptions(&SourceSettings::default()).address.description(),
        "delivery_method": {
            "url": "https://h.example/integration/webhook/pagerduty/eu",
            "temporarily_disabled": false, "custom_headers": [{"name": "X-Portolan-Token"}],
        },
        "filter": {"type": "account_reference"},
    }], "more": false});
    let answers = [
        refusal(403),
        refusal(403),
        refusal(401),
        // Everything is offered but some of the events.
        Answer::json(&none),
        refusal(400),
        Answer::json(&none),
        Answer::json(&created).with_status(201),
        Answer::json(&right),
    ];
    let server = Server::answering(answers).await;
    let subscriptions = subscriptions(&pagerduty(&server));
    let lines: Arc<Mutex<Vec<u8>>> = Arc::default();
    let sink: Sink = {
        let lines = Arc::clone(&lines);
        Arc::new(move |line| lines.lock().unwrap().extend_from_slice(line))
    };
    let format = LogFormat::Human { colour: false };
    let log = telemetry::subscriber(LogLevel::Info, format, Masker::new([]), sink);
    let guard = tracing::subscriber::set_default(log);

    for failed in [1, 1, 1, 0] {
        assert_eq!(subscriptions.pass().await.failed, failed);
    }

    drop(guard);
    let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    let said: Vec<&str> = lines
        .lines()
        .filter(|line| line.contains("PagerDuty (account `eu`)"))
        .collect();
    assert_eq!(said.len(), 4, "{lines}");
    assert!(said[0].contains("answered 403"), "{lines}");
    assert!(said[1].contains("answered 401"), "{lines}");
    assert!(said[2].contains("Subscribed"), "{lines}");
    assert!(said[3].contains("in order again"), "{lines}");
    assert!(!lines.contains("hunter2"));
}

#[tokio::test]
async fn a_list_of_webhooks_without_an_end_is_left_alone() {
    // Whether the pages are new or the same again and again makes no difference.
    for is_new in [true, false] {
        let server = Server::deciding(move |request| {
            let place = if is_new { &request.target } else { "again" };
            if request.target.starts_with("/v1/pages?") {
                return Answer::json(&json!([{"id": "p1"}]));
            }
            let subscribers = (0..100).map(|number| json!({"id": format!("{place} {number}")}));
            if request.target.starts_with("/v1/pages/") {
                return Answer::json(&subscribers.collect());
            }
            let subscriptions: Vec<_> = subscribers.collect();
            Answer::json(&json!({"webhook_subscriptions": subscriptions, "more": true}))
        })
        .await;
        let statuspage = StatuspageAccount {
            name: None,
            host: server.url.clone(),
            api_key: Credential::Fixed(SecretString::from("k")),
            page_ids: Vec::new(),
        };
        let subscriptions = subscriptions(&SourceSettings {
            statuspage: vec![statuspage],
            ..pagerduty(&server)
        });

        let passed = subscriptions.pass().await;

        assert_eq!((passed.kept, passed.failed), (1, 2));
        assert!(
            server
                .received()
                .iter()
                .all(|request| request.method == "GET")
        );
        assert_eq!(server.count(), 1 + 2 * MOST_PAGES as usize);
    }
}

#[test]
fn what_is_to_be_entered_in_opsgenie_is_whole_for_each_account() {
    let account = |name: Option<&str>| OpsgenieAccount {
        name: name.map(str::to_owned),
        api_url: "https://api.opsgenie.com".parse().unwrap(),
        api_token: Credential::Fixed(SecretString::from("t")),
    };
    let subscriptions = subscriptions(&SourceSettings {
        opsgenie: vec![account(None), account(Some("eu"))],
        ..SourceSettings::default()
    });

    let urls = subscriptions.opsgenie_webhook_urls();

    assert!(!format!("{urls:?}").contains("hunter2"));
    let urls: Vec<_> = urls
        .iter()
        .map(|(account, url)| (*account, url.expose_secret()))
        .collect();
    let url = "https://h.example/integration/webhook/opsgenie";
    let token = "token=hunter2-webhook-token";
    assert_eq!(
        urls,
        [
            (None, format!("{url}?{token}").as_str()),
            (Some("eu"), format!("{url}/eu?{token}").as_str()),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_until_it_is_stopped() {
    let subscriptions = subscriptions(&SourceSettings::default());
    let stop = CancellationToken::new();
    let began = Instant::now();

    tokio::join!(subscriptions.run(&stop), async {
        sleep(INTERVAL * 3 + Duration::from_secs(1)).await;
        stop.cancel();
    });

    assert_eq!(began.elapsed().as_secs(), INTERVAL.as_secs() * 3 + 1);
}
