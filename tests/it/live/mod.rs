//! Live events: from a vendor's webhook on.

mod acceptance;
