//! Source → mapping → catalog: the one data path.
//!
//! ```text
//! dataset ─pages─▶ map (large stack) ─entities─▶ Writer ─▶ Port
//!    └── sources side by side, a few datasets of each at a time; every channel bounded
//!
//! event ─▶ one object ─▶ map (large stack) ─entities─▶ LiveWriter ─▶ Port
//! ```

mod deletion_log;
mod export;
mod expressions;
mod live_event;
mod log;
mod mapping;
mod measure;
mod progress;
mod report;
mod reporting;
mod request;
mod resync;
mod state;

pub use export::Export;
pub use expressions::Expressions;
pub use live_event::{LiveError, LiveOutcome, LiveProcessor, Processed};
pub use mapping::Mapping;
pub use progress::{KindProgress, Progress};
pub use report::{Ending, KindReport, ResyncReport};
pub use reporting::Reporting;
pub use request::{NextScheduled, ResyncRequest, Trigger};
pub use resync::{Resync, ResyncError};
pub use state::StateInPort;
