//! Inbound HTTP: health, metrics, and Port's wish for a resync.
