//! How any request leaves the process.
