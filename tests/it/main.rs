//! Tests that look at Portolan from outside, in one binary so that it links once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod drop_in;
mod failures;
mod first_start;
mod installed;
mod messages;
mod pagerduty;
mod port_resources;
mod program;
mod readme;
mod sandbox_command;
mod writing;
