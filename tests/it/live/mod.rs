//! Live events against the simulated vendors.

mod subscriptions;
