//! Live events: webhooks, what keeps them, and several replicas.

mod redis;
