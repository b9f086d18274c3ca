//! Statuspage follows those who are on call: the program against the simulators.

mod calm;
mod kills;
mod laws;
mod mishaps;
mod scale;
mod service;
mod story;
pub(crate) mod world;
