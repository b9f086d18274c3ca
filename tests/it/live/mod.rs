//! Live events: what happens upstream is in the catalog at once.

mod acceptance;
mod deciding;
mod processing;
mod racing;
mod subscriptions;
mod world;
