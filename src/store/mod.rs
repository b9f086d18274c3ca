//! The local state database: a cache and a spool, never the truth.
