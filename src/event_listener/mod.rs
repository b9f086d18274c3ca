//! What asks for a resync: Port when somebody presses Resync, the schedule, the
//! start itself.
