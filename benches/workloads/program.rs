//! The program before it does anything: how large it is, and how long it takes to start.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::{self, Measured};
use super::{Outcome, real};

/// As it is asked for.
pub(super) const NAME: &str = "program";

pub(super) const PATH: &str = env!("CARGO_BIN_EXE_portolan");

/// Starts are short: so many make a median that holds still.
const STARTS: usize = 20;

#[derive(Serialize)]
pub(super) struct Program {
    pub(super) megabytes: f64,
    pub(super) start: Measured,
}

impl Program {
    pub(super) fn measure() -> Outcome<Self> {
        eprintln!("{NAME} …");
        let bytes = std::fs::metadata(PATH)?.len();
        let starts: Outcome<Vec<_>> = (0..STARTS)
            .map(|_| measure::run(&["--version"], BTreeMap::new()))
            .collect();
        Ok(Self {
            megabytes: real(usize::try_from(bytes)?) / 1e6,
            start: measure::typical(&starts?),
        })
    }
}
