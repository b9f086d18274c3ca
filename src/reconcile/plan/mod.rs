//! What has to be done so that a status page is as it ought to be. Pure: the
//! same situation gives the same plan, which is why a plan can be shown before
//! it is carried out, and why its laws can be tested over many invented worlds.
//!
//! ```text
//! observed page ─┐
//! desired ───────┼─▶ existing: resolve, update, adopt …  ──▶ foreseen page ─▶ again, until nothing is left
//! guards ────────┘   fresh: open, reopen                 ──▶ foreseen page ─▶ withheld, with the reason
//! ```
//!
//! Steps are planned in rounds. Each round looks at the page as it will be once
//! the steps so far are done, so that a component which one incident gives up
//! can go to another in the same plan, and so that after a plan was carried out
//! the next one is empty. Nothing is opened in a round that changes what is
//! there: an incident is opened with all the components it will have. Steps of
//! one round do not depend on each other; those of a later one do, and are not
//! carried out where one before them was not.
//!
//! # What never happens
//!
//! - Two own incidents hold one component, whatever part of a plan is carried out.
//! - An incident is changed that is somebody else's, or that a human has taken over.
//! - Anything is resolved because something could not be read.
//! - A component is called operational while another unresolved incident or a
//!   maintenance holds it.

mod existing;
mod fresh;
mod scope;
mod situation;
mod withheld;

pub use situation::{Ended, Situation, Unsettled};
pub use withheld::{Reason, Withheld};

use super::step::Step;

/// Rounds after which a plan has come to its end, whatever the situation. Each
/// round hands components on once, and more than a few hands are a mistake.
const MOST_ROUNDS: usize = 8;

/// What to do on one page, in this order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    pub withheld: Vec<Withheld>,
}

/// Plans for one page.
pub fn plan(mut situation: Situation<'_>) -> Plan {
    let mut plan = Plan::default();
    for number in 0..MOST_ROUNDS {
        let mut round = Round::default();
        existing::plan(&situation, &mut round);
        if round.steps.is_empty() {
            fresh::plan(&situation, &mut round);
        }
        situation.settle(&mut round);
        situation.cap(&mut round);
        plan.withheld = round.withheld;
        if round.steps.is_empty() {
            break;
        }
        for step in &mut round.steps {
            step.round = number;
            situation.foresee(step);
        }
        plan.steps.append(&mut round.steps);
    }
    plan
}

/// What one round came to.
#[derive(Default)]
struct Round {
    steps: Vec<Step>,
    withheld: Vec<Withheld>,
}

impl Round {
    fn withhold(&mut self, withheld: Withheld) {
        self.withheld.push(withheld);
    }
}
