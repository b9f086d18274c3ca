//! Raw object to entity; pure: no I/O, no clock.
