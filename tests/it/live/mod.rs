//! Live events: what happens upstream is in the catalog at once.

mod acceptance;
mod deciding;
mod given_up;
mod kills;
mod processing;
mod racing;
mod receiver;
mod subscriptions;
mod world;
