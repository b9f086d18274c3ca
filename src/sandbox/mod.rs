//! Stateful simulators of Statuspage, PagerDuty and Port.
