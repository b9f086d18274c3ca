//! Tests that look at Portolan from outside, in one binary so that it links once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod dependencies;
mod drop_in;
mod enrichment;
mod failures;
mod first_start;
mod history;
mod installed;
mod listing;
mod messages;
mod metrics;
mod origins;
mod pagerduty;
mod port_resources;
mod program;
mod readme;
mod running;
mod reporting;
mod sandbox_command;
mod service;
mod settings;
mod sharing;
mod shipping;
mod statuspage;
mod stopping;
mod writer_model;
mod writing;
