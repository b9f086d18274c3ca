//! The real binary while it runs: a service has to be watched and stopped.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portolan::sandbox::Sandbox;
use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::program::{Outcome, with, with_state_in};

/// Nothing here takes this long; a test that does is stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks at whether something has happened.
const LOOK: Duration = Duration::from_millis(5);

/// How often a port that somebody else took in between is given up for another.
const PORTS: u32 = 5;

/// In a setting, where its web server listens: a service that tells others its
/// address has to know the port that is picked for it.
pub(crate) const OWN_ADDRESS: &str = "http://own.address";

/// A process under way. Dropped, it is killed.
pub(crate) struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    /// Where its web server listens.
    pub(crate) port: u16,
    /// None where it outlives the process.
    _directory: Option<TempDir>,
}

/// The environment of a service on this sandbox that asks Port every second.
pub(crate) fn polling(sandbox: &Sandbox) -> Vec<(String, String)> {
    let environment = listening(sandbox, "POLLING");
    with(environment, "OCEAN__EVENT_LISTENER__INTERVAL", "1")
}

/// The environment of a service with this event listener.
pub(crate) fn listening(sandbox: &Sandbox, listener: &str) -> Vec<(String, String)> {
    with(
        sandbox.environment(),
        "OCEAN__EVENT_LISTENER__TYPE",
        listener,
    )
}

impl Running {
    /// Starts `portolan run`, on a port that nobody else has. A service listens
    /// on it when this returns.
    pub(crate) async fn start(environment: &[(String, String)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let running = Self::start_in(directory.path(), environment).await;
        Self {
            _directory: Some(directory),
            ..running
        }
    }

    /// The same in a directory that is kept, with the state database in it.
    pub(crate) async fn start_in(directory: &Path, environment: &[(String, String)]) -> Self {
        let resyncs_once = |(name, value): &(String, String)| {
            name == "OCEAN__EVENT_LISTENER__TYPE" && value == "ONCE"
        };
        let sign = if environment.iter().any(resyncs_once) {
            "\"Starting Portolan"
        } else {
            "\"Serving health"
        };
        for _ in 0..PORTS {
            let running = Self::spawn(directory, environment);
            let taken = format!("cannot listen on port {}", running.port);
            running
                .until("it has started or has not", || {
                    let said = running.stderr.so_far();
                    said.contains(sign) || said.contains(&taken)
                })
                .await;
            if !running.stderr.so_far().contains(&taken) {
                return running;
            }
        }
        panic!("no port is free")
    }

    fn spawn(directory: &Path, environment: &[(String, String)]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let own = format!("http://127.0.0.1:{port}");
        let environment: Vec<(String, String)> = environment
            .iter()
            .map(|(name, value)| (name.clone(), value.replace(OWN_ADDRESS, &own)))
            .collect();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portolan"))
            .arg("run")
            .env_clear()
            .env("APPLICATION__PORT", port.to_string())
            .envs(with_state_in(directory, &environment))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stdout: Collected::from(child.stdout.take().unwrap()),
            stderr: Collected::from(child.stderr.take().unwrap()),
            child,
            port,
            _directory: None,
        }
    }

    /// Waits for something to be so; fails with everything that was printed.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let waiting = async {
            while !is_so() {
                sleep(LOOK).await;
            }
        };
        let in_time = timeout(PATIENCE, waiting).await.is_ok();
        assert!(
            in_time,
            "in vain waited until {what}; stderr:\n{}",
            self.stderr.so_far()
        );
    }

    /// The same where it takes asking somebody.
    #[cfg(feature = "kafka")]
    pub(crate) async fn until_async(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !is_so().await {
                sleep(LOOK).await;
            }
        };
        let in_time = timeout(PATIENCE, waiting).await.is_ok();
        assert!(
            in_time,
            "in vain waited until {what}; stderr:\n{}",
            self.stderr.so_far()
        );
    }

    /// How many log lines so far have this in them.
    #[cfg(feature = "kafka")]
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.stderr.so_far().matches(text).count()
    }

    /// Waits for a log line with this in it.
    pub(crate) async fn until_logged(&self, text: &str) {
        self.until(&format!("it logs: {text}"), || {
            self.stderr.so_far().contains(text)
        })
        .await;
    }

    /// A request to its web server, on a connection of its own.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.request(method, format!("http://127.0.0.1:{}{path}", self.port))
    }

    /// Sends a signal: `TERM`, `INT`, `KILL`.
    pub(crate) async fn signal(&self, name: &str) {
        let process = self.child.id().expect("the program has ended");
        // The shell's own: a small machine has no program of that name.
        let killed = Command::new("sh")
            .args(["-c", &format!("kill -{name} {process}")])
            .status();
        assert!(killed.await.unwrap().success());
    }

    /// What it has in memory now.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident_bytes(&self) -> usize {
        let process = self.child.id().expect("the program has ended");
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|text| text.trim().strip_suffix(" kB"));
        1024 * kibibytes.unwrap().parse::<usize>().unwrap()
    }

    /// Whether it has come to its end, by itself or not.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Outcome {
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else {
            panic!("the program did not end; stderr:\n{}", self.stderr.so_far());
        };
        Outcome {
            code: status.unwrap().code(),
            stdout: self.stdout.whole().await,
            stderr: self.stderr.whole().await,
        }
    }

    /// SIGTERM, and the end.
    pub(crate) async fn terminate(self) -> Outcome {
        self.signal("TERM").await;
        self.end().await
    }
}

/// What comes out of a pipe. It is read all the time, or the program would stop
/// when the pipe is full.
struct Collected {
    text: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Collected {
    fn from(mut pipe: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&text);
        let reading = tokio::spawn(async move {
            let mut bytes = Vec::new();
            let mut buffer = [0; 8192];
            while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
                bytes.extend_from_slice(&buffer[..read]);
                *collected.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
            }
        });
        Self { text, reading }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    async fn whole(self) -> String {
        self.reading.await.unwrap();
        self.text.lock().unwrap().clone()
    }
}
