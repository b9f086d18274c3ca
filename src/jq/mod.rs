//! Expressions compiled once, run within limits.
