//! Threads whose stack holds any evaluation.
//!
//! The engine evaluates by recursion. A worker thread's two megabytes are
//! spent after a few hundred nested calls; these threads reserve far more
//! address space, of which only what is used becomes memory.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::fuel;

/// Enough for recursion some ten thousand calls deep in an unoptimised build.
const SIZE: usize = 256 << 20;

/// The work did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work ended early: {message}")]
pub struct Panicked {
    message: String,
}

impl Panicked {
    fn new(cause: &(dyn Any + Send)) -> Self {
        let message = cause
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| cause.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        Self {
            message: message.to_owned(),
        }
    }

    fn without_thread(error: &std::io::Error) -> Self {
        Self {
            message: format!("no thread could be started: {error}"),
        }
    }
}

fn named() -> thread::Builder {
    thread::Builder::new()
        .name("jq".to_owned())
        .stack_size(SIZE)
}

fn run<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    fuel::enter_stack(SIZE);
    catch_unwind(AssertUnwindSafe(work)).map_err(|cause| Panicked::new(&*cause))
}

/// Runs `work` on a thread whose stack is large enough for any filter within
/// its limits; a panic comes back as an error.
///
/// Dropping the future does not stop the work: its limits do.
pub async fn on_large_stack<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let started = named().spawn(move || {
        // Nobody listens when the future was dropped.
        drop(sender.send(run(work)));
    });
    match started {
        Ok(_) => receiver.await.unwrap_or_else(|_| {
            Err(Panicked {
                message: "the thread ended without an answer".to_owned(),
            })
        }),
        Err(error) => Err(Panicked::without_thread(&error)),
    }
}

/// Like [`on_large_stack`], for code that may block and borrows. Where the stack is
/// large already, no thread is started.
pub fn on_large_stack_blocking<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Panicked> {
    if fuel::has_large_stack() {
        return catch_unwind(AssertUnwindSafe(work)).map_err(|cause| Panicked::new(&*cause));
    }
    thread::scope(|scope| {
        let started = named().spawn_scoped(scope, move || run(work));
        match started {
            Ok(handle) => handle
                .join()
                .unwrap_or_else(|cause| Err(Panicked::new(&*cause))),
            Err(error) => Err(Panicked::without_thread(&error)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrowed_data_can_be_worked_on() {
        let text = String::from("abc");
        assert_eq!(on_large_stack_blocking(|| text.len()), Ok(3));
    }

    #[test]
    fn a_panic_comes_back_as_an_error() {
        let outcome = on_large_stack_blocking(|| panic!("no such thing"));
        assert_eq!(
            outcome.map_err(|error: Panicked| error.to_string()),
            Err::<(), _>("the work ended early: no such thing".to_owned())
        );
    }

    #[tokio::test]
    async fn work_started_from_async_code_answers() {
        assert_eq!(on_large_stack(|| 7).await, Ok(7));
        assert!(on_large_stack(|| -> u8 { panic!("{}", 1) }).await.is_err());
    }
}
