//! Live events: from a vendor's webhook on.

mod acceptance;
mod given_up;
mod receiver;
