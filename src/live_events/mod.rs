//! Live events: what vendors tell of their own accord, by webhook.

pub mod subscriptions;
