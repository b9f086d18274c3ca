//! How long a webhook takes to be answered while 500 a second come in: over HTTP,
//! with a token, onto the disk.
//!
//! ```sh
//! cargo bench --bench webhooks              # below the working directory
//! cargo bench --bench webhooks -- /var/tmp  # on the disk that is meant
//! ```
//!
//! Arrivals are spread evenly and do not wait for answers, so a slow answer holds
//! back nobody and shows in full. A `put` waits for an fsync, so the disk decides:
//! what one takes is measured as well.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use portolan::live_events::{Authenticator, LocalSpool, Spool};
use portolan::settings::SourceName;
use portolan::web::{self, Health, State, WebhookRoute};
use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;
const TOKEN: &str = "a-token-of-the-benchmark";

#[expect(clippy::print_stdout, reason = "the result of a benchmark")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` itself gives a flag.
    let place = std::env::args().skip(1).find(|one| !one.starts_with('-'));
    let directory = tempfile::tempdir_in(place.as_deref().unwrap_or("."))?;
    println!("one fsync:  {}", told(&mut syncs(directory.path())?));

    drop(rustls::crypto::ring::default_provider().install_default());
    let spool = Spool::Local(LocalSpool::open(&directory.path().join("state.sqlite3")).await);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/integration/webhook", listener.local_addr()?);
    let stop = CancellationToken::new();
    let server = tokio::spawn(web::serve(listener, state(&spool), stop.clone()));

    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut arrivals = interval(Duration::from_secs(1) / PER_SECOND);
    arrivals.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut answers = JoinSet::new();
    for number in 0..PER_SECOND * SECONDS {
        arrivals.tick().await;
        answers.spawn(post(client.clone(), url.clone(), number));
    }
    let mut times = Vec::new();
    while let Some(answer) = answers.join_next().await {
        times.push(answer??);
    }
    let stored = spool.counts().await?.waiting;
    println!("one answer: {}", told(&mut times));
    println!("{stored} events on the disk, {PER_SECOND} a second for {SECONDS} s");
    stop.cancel();
    server.await?;
    Ok(())
}

/// One webhook, and how long its answer took.
async fn post(client: reqwest::Client, url: String, number: u32) -> reqwest::Result<Duration> {
    let body = json!({
        "action": "Acknowledge",
        "integrationId": "i-1",
        "alert": {"alertId": format!("alert-{}", number % 500), "message": "Slow", "number": number},
    });
    let began = Instant::now();
    let request = client.post(url).header("X-Portolan-Token", TOKEN);
    let answer = request.body(body.to_string()).send().await?;
    answer.error_for_status()?.bytes().await?;
    Ok(began.elapsed())
}

fn state(spool: &Spool) -> State {
    State {
        health: Health::new(),
        path_prefix: None,
        ocean_names: false,
        resync: None,
        pagerstatus: None,
        webhook: Some(WebhookRoute {
            authenticator: Authenticator::new(&[SecretString::from(TOKEN)], &[]),
            spool: spool.clone(),
            accounts: [(SourceName::Opsgenie, None)].into_iter().collect(),
            hint: None,
            is_detailed: false,
        }),
    }
}

/// What one fsync takes there, of a few hundred.
fn syncs(directory: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = File::create(directory.join("sync"))?;
    (0..300)
        .map(|_| {
            file.write_all(&[0; 4096])?;
            let began = Instant::now();
            file.sync_data()?;
            Ok(began.elapsed())
        })
        .collect()
}

fn told(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |hundredth: usize| times[(times.len() - 1) * hundredth / 100];
    format!(
        "median {:.1?}, 99 % within {:.1?}, at most {:.1?}",
        at(50),
        at(99),
        at(100)
    )
}
