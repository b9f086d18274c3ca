//! Tests that look at Portolan from outside, in one binary so that it links once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod catalog;
mod check;
mod combined;
mod deletion;
mod dependencies;
mod deploy;
mod drop_in;
mod enrichment;
mod failures;
mod first_start;
mod history;
mod incident_sync;
mod installed;
#[cfg(feature = "kafka")]
mod kafka;
mod kills;
mod listing;
mod live;
mod mapping_tools;
// Reads the resident memory of a process where Linux shows it.
#[cfg(target_os = "linux")]
mod memory;
mod messages;
mod metrics;
mod operator_commands;
mod opsgenie;
mod origins;
mod outage;
mod pagerduty;
mod plan;
mod port_resources;
mod program;
mod readme;
mod reporting;
mod resync_model;
mod running;
mod sandbox_command;
mod second_resync;
mod service;
mod settings;
mod sharing;
mod shipping;
mod statuspage;
mod stopping;
mod unchanged;
mod upstream;
mod writer_model;
mod writing;
