//! Live events: from a vendor's webhook on, and with several replicas.

mod acceptance;
mod given_up;
mod receiver;
mod redis;
