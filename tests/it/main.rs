//! Tests that look at Portolan from outside, in one binary so that it links once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod port_resources;
