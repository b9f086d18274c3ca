//! Live events: what vendors tell by webhook, from the request to the worker.
//!
//! ```text
//! web::webhook ─▶ auth: whose is it? ─▶ recognize: about what? ─▶ spool: on the disk ─▶ 2xx
//!                                                                   │
//!                                            worker ◀──── take ─────┘
//!                                              └─▶ sync::live_event ─▶ done, later or bury
//! ```
//!
//! An event is a hint: it says which object to look at, and whoever works on it
//! fetches the object afresh. So events of one object that wait together are
//! served by one fetch, and neither their order across objects nor a second
//! delivery does harm. What must never happen is that an event which was answered
//! with 2xx is forgotten: the vendor sends it only once.
//!
//! Several replicas share a Redis ([`shared_redis`]): events wait there
//! ([`spool::RedisSpool`]), it says who leads ([`leader`]), what is wanted of the leader
//! ([`relay`]), and what was written a moment ago ([`recent_writes`]).

pub mod auth;
pub mod event;
pub mod leader;
pub mod recent_writes;
pub mod recognize;
pub mod relay;
pub mod shared_redis;
pub mod spool;
pub mod subscriptions;
pub mod worker;

pub use auth::{Authenticator, derived_token};
pub use event::{DeadEvent, NewEvent, SpooledEvent, Subject, Taken, Thing};
pub use spool::{Counts, Lease, LocalSpool, Put, Spool, SpoolError};
pub use worker::Workers;
