//! Holds a reply back until a test lets it go.

use std::sync::Arc;

use tokio::sync::watch;

/// A closed gate on a reply's way. The request has been carried out when it gets
/// there, so the reply shows what was true before. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Sides>);

#[derive(Debug)]
struct Sides {
    reached: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(Sides {
            reached: watch::Sender::new(false),
            open: watch::Sender::new(false),
        }))
    }

    /// Waits until a reply stands before it.
    pub async fn reached(&self) {
        wait(&self.0.reached).await;
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        self.0.reached.send_replace(true);
        wait(&self.0.open).await;
    }
}

/// Waits until it is true. The sender is there as long as the gate is.
async fn wait(side: &watch::Sender<bool>) {
    let mut side = side.subscribe();
    if side.wait_for(|is_so| *is_so).await.is_err() {
        tracing::debug!("A gate of the sandbox is gone");
    }
}
