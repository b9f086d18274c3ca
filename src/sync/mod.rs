//! Source → mapping → catalog: the one data path.
//!
//! ```text
//! dataset ─pages─▶ map (large stack) ─entities─▶ Writer ─▶ Port
//!    └── sources side by side, a few datasets of each at a time; every channel bounded
//! ```

mod log;
mod progress;
mod report;
mod resync;

pub use progress::{KindProgress, Progress};
pub use report::{Ending, KindReport, ResyncReport};
pub use resync::{Resync, ResyncError};
