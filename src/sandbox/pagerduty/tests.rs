//! The rules of the simulated account.
