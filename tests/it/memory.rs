//! Listings that never end, and what the process that reads them takes of memory.
//!
//! The vendors here give one full page after another, each with a hundred objects
//! that nobody has seen before and that are large enough to be noticed if somebody
//! kept them. What may grow is some bytes an object, by which it is known again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use portolan::settings::SourceName;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::installed::{blueprint, install, resource};
use crate::program::{small_sandbox, with};
use crate::running::Running;

/// Pages after which memory is measured first: everything has its size by then.
const PAGES: usize = 50;

/// How many times as many there are when it is measured again.
const TIMES: usize = 4;

/// Objects a page.
const OBJECTS: usize = 100;

/// What an object carries along that nobody asks for. All of it together is several
/// times what the process may grow by.
const WEIGHT: usize = 2_000;

/// What an object may leave behind.
const BYTES_AN_OBJECT: usize = 200;

/// What an allocator may take more of at one time than at another: the pages that
/// are on their way, and what it has not given back yet.
const SLACK: usize = 8 * 1024 * 1024;

/// A vendor whose list never ends.
#[derive(Clone)]
struct Endless {
    source: SourceName,
    own: String,
    /// Pages that were asked for.
    pages: Arc<AtomicUsize>,
    /// Requests that nobody expects.
    strays: Arc<AtomicUsize>,
}

impl Endless {
    async fn start(source: SourceName) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endless = Self {
            source,
            own: format!("http://{}", listener.local_addr().unwrap()),
            pages: Arc::default(),
            strays: Arc::default(),
        };
        let app = Router::new().fallback(answer).with_state(endless.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        endless
    }

    fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }

    fn next_page(&self) -> Vec<Value> {
        let page = self.pages.fetch_add(1, Ordering::Relaxed);
        let object = |place: usize| {
            let number = page * OBJECTS + place;
            json!({
                "id": format!("N{number:08}"),
                "name": format!("No. {number}"),
                "weight": "w".repeat(WEIGHT),
            })
        };
        (0..OBJECTS).map(object).collect()
    }

    fn json(&self, path: &str) -> Option<Value> {
        Some(match (self.source, path) {
            // What a start asks for, to see whether the credentials are good.
            (SourceName::Statuspage, "/v1/pages") => json!([{"id": "p1", "name": "Status"}]),
            (SourceName::Pagerduty, "/users") => json!({"users": [], "more": false}),
            (SourceName::Opsgenie, "/v2/alerts") => json!({"data": [], "paging": {}}),

            (SourceName::Statuspage, "/v1/pages/p1/incidents") => json!(self.next_page()),
            (SourceName::Pagerduty, "/incidents") => {
                json!({"incidents": self.next_page(), "limit": OBJECTS, "more": true})
            }
            (SourceName::Opsgenie, "/v2/users") => {
                let users = self.next_page();
                let offset = self.pages() * OBJECTS;
                let next = format!("{}/v2/users?offset={offset}", self.own);
                json!({"data": users, "paging": {"next": next}})
            }
            _ => return None,
        })
    }
}

async fn answer(State(endless): State<Endless>, request: Request) -> Response {
    let Some(body) = endless.json(request.uri().path()) else {
        endless.strays.fetch_add(1, Ordering::Relaxed);
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Resyncs from a list that never ends, and measures twice while that goes on.
async fn expect_flat(source: SourceName, address: &str, mut thing: Value, query: &str) {
    let sandbox = small_sandbox().await;
    let endless = Endless::start(source).await;
    blueprint(&sandbox, "thing", &[], &[]);
    thing["selector"]["query"] = query.into();
    install(&sandbox, &json!({"resources": [thing]}));
    let address = format!("OCEAN__INTEGRATION__CONFIG__{address}");
    let environment = with(sandbox.environment_for(source), &address, &endless.own);

    let running = Running::start(&environment).await;
    let listed = async |pages: usize| {
        let enough = || endless.pages() >= pages;
        running
            .until(&format!("{pages} pages are listed"), enough)
            .await;
        running.resident_bytes()
    };
    let before = listed(PAGES).await;
    let after = listed(TIMES * PAGES).await;
    running.terminate().await.expect_code(143);

    let allowed = (TIMES - 1) * PAGES * OBJECTS * BYTES_AN_OBJECT + SLACK;
    let grown = after.saturating_sub(before);
    assert!(
        grown <= allowed,
        "{source:?}: from {before} to {after} bytes while {} pages of {} bytes came in",
        (TIMES - 1) * PAGES,
        OBJECTS * WEIGHT
    );
    assert_eq!(endless.strays.load(Ordering::Relaxed), 0);
    assert_eq!(sandbox.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn incidents_of_a_status_page_without_end_leave_memory_flat() {
    let thing = resource(
        "incident",
        &json!({"identifier": ".id", "blueprint": "\"thing\""}),
    );
    // None becomes an entity: an identifier that is written is remembered.
    expect_flat(SourceName::Statuspage, "STATUSPAGE_HOST", thing, "false").await;
}

#[tokio::test]
async fn incidents_of_pagerduty_without_end_leave_memory_flat() {
    let thing = resource(
        "incidents",
        &json!({"identifier": ".id", "blueprint": "\"thing\""}),
    );
    expect_flat(SourceName::Pagerduty, "API_URL", thing, "false").await;
}

#[tokio::test]
async fn users_of_opsgenie_without_end_leave_memory_flat_while_they_are_written() {
    // Ten entities, which are another object's with each page.
    let mappings = json!({
        "identifier": ".id[-1:]", "title": ".name", "blueprint": "\"thing\"",
    });
    let thing = resource("user", &mappings);
    expect_flat(SourceName::Opsgenie, "API_URL", thing, "true").await;
}
