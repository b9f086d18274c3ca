//! The one thread that has the database, and the group commit.
//!
//! To be durable, a transaction has to wait for the disk, some milliseconds as a
//! rule. So everything that has come while the last one was waited for shares the
//! next: whoever asks waits for two of them at worst, however many ask at once.
//! Each has a savepoint of its own, so that one that fails does not take the others
//! with it; and each is answered only once the whole is on the disk.
//!
//! Reading comes after the commit and sees what it has made durable. One thread for
//! both keeps it simple: SQLite writes one at a time anyway, and reads are short.

use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::SpoolError;

/// Work that waits to be taken on; more wait to be let in.
const QUEUE: usize = 1024;

/// What shares a transaction at most.
const BATCH: usize = 512;

/// Why work has failed.
pub(super) enum Trouble {
    Sqlite(rusqlite::Error),
    Refused(SpoolError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Gives work to the thread, which ends with the last of these.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    place: String,
}

enum Job {
    Write(Box<dyn Write>),
    Read(Box<dyn FnOnce(&Connection) + Send>),
}

impl Writer {
    /// `place`: what messages call the database.
    pub(super) fn start(connection: Connection, place: String) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("live events".to_owned())
            .spawn(move || serve(&connection, queue))?;
        Ok(Self { jobs, place })
    }

    /// Does it, and comes back once it is durable. It is done also where nobody
    /// waits for it any more. `task`: what fails then, as in "could not …".
    pub(super) async fn write<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Write(Box::new(Task {
            work: Some(work),
            result: None,
            answer,
        }));
        if self.jobs.send(job).await.is_err() {
            return Err(self.ended(task));
        }
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::Sqlite(source))) => Err(self.failed(task, source)),
            Ok(Err(Failure::Refused(error))) => Err(error),
            Err(_) => Err(self.ended(task)),
        }
    }

    /// Reads what is durable.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        task: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Read(Box::new(move |connection| {
            // Who does not wait any more need not know.
            drop(answer.send(work(connection)));
        }));
        if self.jobs.send(job).await.is_err() {
            return Err(self.ended(task));
        }
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failed(task, Arc::new(error))),
            Err(_) => Err(self.ended(task)),
        }
    }

    fn failed(&self, task: &'static str, source: Arc<rusqlite::Error>) -> SpoolError {
        SpoolError::Failed {
            task,
            place: self.place.clone(),
            source,
        }
    }

    fn ended(&self, task: &'static str) -> SpoolError {
        SpoolError::Ended {
            task,
            place: self.place.clone(),
        }
    }
}

/// A part of a transaction.
trait Write: Send {
    fn run(&mut self, connection: &Connection);
    /// Answers: what came of it, if the whole is durable.
    fn tell(self: Box<Self>, whole: &Result<(), Arc<rusqlite::Error>>);
}

enum Failure {
    Sqlite(Arc<rusqlite::Error>),
    Refused(SpoolError),
}

struct Task<T, F> {
    work: Option<F>,
    /// None: it has not been tried.
    result: Option<Result<T, Trouble>>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T, F> Write for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Trouble> + Send,
{
    fn run(&mut self, connection: &Connection) {
        self.result = self.work.take().map(|work| apart(connection, work));
    }

    fn tell(self: Box<Self>, whole: &Result<(), Arc<rusqlite::Error>>) {
        let answer = match (self.result, whole) {
            // What it says itself is more to the point.
            (Some(Err(Trouble::Sqlite(error))), _) => Err(Failure::Sqlite(Arc::new(error))),
            (Some(Err(Trouble::Refused(error))), _) => Err(Failure::Refused(error)),
            (_, Err(error)) => Err(Failure::Sqlite(Arc::clone(error))),
            (Some(Ok(value)), Ok(())) => Ok(value),
            // Dropping it says that nobody did it.
            (None, Ok(())) => return,
        };
        drop(self.answer.send(answer));
    }
}

/// Does it in a savepoint of its own.
fn apart<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    connection.execute_batch("SAVEPOINT one")?;
    let result = work(connection);
    let end = if result.is_ok() {
        "RELEASE one"
    } else {
        "ROLLBACK TO one; RELEASE one"
    };
    match (result, connection.execute_batch(end)) {
        (Ok(_), Err(error)) => Err(error.into()),
        // Where going back fails, there is no transaction any more, which is seen.
        (result, _) => result,
    }
}

fn serve(connection: &Connection, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut writes = Vec::new();
        let mut reads = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(write) => writes.push(write),
                Job::Read(read) => reads.push(read),
            }
            let is_full = writes.len() + reads.len() >= BATCH;
            next = if is_full { None } else { queue.try_recv().ok() };
        }
        if !writes.is_empty() {
            let whole = together(connection, &mut writes).map_err(Arc::new);
            for write in writes {
                write.tell(&whole);
            }
        }
        for read in reads {
            read(connection);
        }
    }
}

/// One transaction for all of them.
fn together(connection: &Connection, writes: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for write in writes {
        // On a full disk SQLite may end the transaction by itself.
        if !connection.is_autocommit() {
            write.run(connection);
        }
    }
    let committed = connection.execute_batch("COMMIT");
    if committed.is_err() && !connection.is_autocommit() {
        // Or the next could not begin.
        drop(connection.execute_batch("ROLLBACK"));
    }
    committed
}
