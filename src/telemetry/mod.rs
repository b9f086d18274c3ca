//! Logging and secret masking.
