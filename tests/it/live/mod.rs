//! Live events: what happens upstream is in the catalog at once, also with several replicas.

mod acceptance;
mod deciding;
mod given_up;
mod kills;
mod processing;
mod racing;
mod receiver;
mod redis;
mod replicas;
mod service;
mod subscriptions;
mod vendor;
mod world;
