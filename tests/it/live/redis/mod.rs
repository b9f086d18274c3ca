//! Several replicas on one Redis, a real one.
//!
//! Every test starts a `redis-server` of its own, in a directory of its own, and
//! kills it at the end. Locks and leases are made to last about a second. A Redis
//! gives nothing out in its first second or two: see `shared_redis`.

mod checking;
mod cluster;
mod crashes;
mod lease;
mod outages;
mod sharing;
mod spool;
mod tls;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portolan::live_events::event::{NewEvent, Subject, Taken, Thing};
use portolan::live_events::shared_redis::SharedRedis;
use portolan::live_events::spool::{RedisSpool, SpoolTimes};
use portolan::settings::{RedisSettings, SourceName};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing here takes so long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

const TIMES: SpoolTimes = SpoolTimes {
    lock: Duration::from_millis(1200),
    margin: Duration::from_millis(400),
};

/// A `redis-server` that is killed when it is dropped.
pub(super) struct RedisServer {
    directory: TempDir,
    port: u16,
    options: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Self {
        let mut server = Self {
            directory: tempfile::tempdir().unwrap(),
            port: free_port(),
            options: options.iter().map(ToString::to_string).collect(),
            child: None,
        };
        server.restart();
        server
    }

    /// Starts it again with the data that it has on disk.
    fn restart(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--port", &port, "--dir"])
            .arg(self.directory.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is needed: apt-get install redis-server, or brew install redis");
        self.child = Some(child);
        if !self.options.iter().any(|option| option == "--tls-port") {
            self.wait_until_it_answers();
        }
    }

    fn wait_until_it_answers(&self) {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let mut answer = [0; 5];
                stream.write_all(b"PING\r\n").unwrap();
                // It may be that it wants a password first.
                if stream.read_exact(&mut answer).is_ok() && &answer != b"-LOAD" {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }

    /// As a machine that fails: nothing is written any more.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn settings(&self) -> RedisSettings {
        settings(&self.url())
    }

    /// A new replica with nothing to renew what it holds: as one that hangs.
    async fn hanging_replica(&self) -> RedisSpool {
        RedisSpool::new(shared(&self.settings()).await, TIMES)
    }

    async fn replica(&self) -> Replica {
        let spool = self.hanging_replica().await;
        Replica::run(spool, shared(&self.settings()).await)
    }

    /// What the server says to a command.
    async fn says<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut asked = redis::cmd(command[0]);
        asked.arg(&command[1..]);
        asked.query_async(&mut connection).await.unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A spool and what runs beside it. Dropping it is a crash: nothing is given back.
struct Replica {
    spool: RedisSpool,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Replica {
    fn run(spool: RedisSpool, redis: SharedRedis) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (keeper, stopped) = (spool.clone(), stop.clone());
        tasks.spawn(async move { keeper.keep(&stopped).await });
        let stopped = stop.clone();
        tasks.spawn(async move { redis.listen(&stopped).await });
        Self { spool, stop, tasks }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // A cluster's nodes talk to each other on a port that is 10000 higher.
        if port < 55_000 {
            return port;
        }
    }
}

fn settings(url: &str) -> RedisSettings {
    RedisSettings {
        url: url.into(),
        username: None,
        password: None,
        enable_tls: false,
        ca: None,
        client_certificate: None,
        block: Duration::from_millis(200),
        read_count: 10,
        stream_ttl: Duration::from_hours(720),
    }
}

async fn shared(settings: &RedisSettings) -> SharedRedis {
    SharedRedis::open(settings, "my-integration").await.unwrap()
}

fn event(subject: &str, number: u32) -> NewEvent {
    NewEvent {
        delivery: format!("{subject}-{number}"),
        subject: Subject {
            source: SourceName::Pagerduty,
            account: Some("eu".to_owned()),
            thing: Thing::PagerdutyIncident,
            id: subject.to_owned(),
            page: None,
        },
        event_type: "incident.acknowledged".to_owned(),
        is_gone: false,
        payload: json!({ "number": number, "title": "ünï \u{0} \"code\"" }),
        received: "2026-03-01T10:00:00Z".parse().unwrap(),
    }
}

fn numbers(taken: &Taken) -> Vec<u64> {
    taken
        .events
        .iter()
        .map(|event| event.event.payload["number"].as_u64().unwrap())
        .collect()
}

/// What somebody gets, soon.
async fn take(spool: &RedisSpool) -> Taken {
    timeout(PATIENCE, spool.take())
        .await
        .expect("there is something to take")
}

/// Whether there is nothing to take for a while.
async fn finds_nothing(spool: &RedisSpool) -> bool {
    timeout(Duration::from_millis(500), spool.take())
        .await
        .is_err()
}

/// Until it is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
