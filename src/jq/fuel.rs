//! What one evaluation may use: steps, time, memory, stack.
//!
//! The engine underneath has no limits of its own, and its operators cannot
//! reach the data of a run. So the remaining amounts live in the thread: an
//! evaluation never leaves the thread it began on. Whoever finds an amount
//! spent notes why and fails in whatever way it can; the note is what decides
//! the outcome, so that a `try` around the failing part changes nothing.
//!
//! The stack is not counted but measured: the address of a local variable is
//! compared with the lowest address that leaves enough room for what runs
//! between two steps. Counting calls would have to assume the size of the
//! largest frame, which differs tenfold between builds.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Limits;

/// What one evaluation may allocate in all, garbage included. It bounds the
/// memory of the process whatever the expression does, and still lets a list
/// of several thousand elements be appended to one by one.
const MEMORY: usize = 256 << 20;

/// Room kept free below the deepest step: values nested [`VALUE_DEPTH`] deep
/// are compared, written and dropped by recursion that takes no steps.
///
/// [`VALUE_DEPTH`]: super::value::VALUE_DEPTH
pub(super) const STACK_RESERVE: usize = 64 << 20;

/// What is assumed of a thread that was not started by `on_large_stack`: few
/// platforms give a thread less than twice as much.
const SMALL_STACK: usize = 512 << 10;

/// How much work passes between two looks at the clock.
const WORK_PER_LOOK: usize = 1 << 12;
const WORK_PER_STEP: usize = 1 << 4;

pub(super) const STEPS: &str = "it took more steps than an expression may take";
pub(super) const TIME: &str = "it ran for longer than an expression may run";
pub(super) const SPACE: &str = "it built more data than an expression may build";
pub(super) const STACK: &str = "it calls itself too deeply";
pub(super) const DEPTH: &str = "it nested values too deeply";

/// An amount is spent; [`Run::finish`] says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

#[derive(Clone, Copy)]
struct Tank {
    steps: u64,
    memory: usize,
    work: usize,
    deadline: Option<Instant>,
    lowest: usize,
    spent: Option<&'static str>,
}

const EMPTY: Tank = Tank {
    steps: 0,
    memory: 0,
    work: 0,
    deadline: None,
    lowest: 0,
    spent: None,
};

thread_local! {
    static TANK: Cell<Tank> = const { Cell::new(EMPTY) };
    /// The lowest address that evaluations of this thread may reach.
    static LOWEST: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Where the stack is now. It grows towards lower addresses on every platform
/// that we build for.
fn here() -> usize {
    let marker = 0_u8;
    std::hint::black_box(&raw const marker) as usize
}

/// Tells this thread how large its stack is; to be called where it starts.
pub(super) fn enter_stack(size: usize) {
    LOWEST.set(Some(here().saturating_sub(size - STACK_RESERVE)));
}

/// Whether this thread's stack was made for whatever an expression may need.
pub(super) fn has_large_stack() -> bool {
    LOWEST.get().is_some()
}

/// The amounts of one evaluation; giving it up restores those of the one it
/// was started from.
pub(super) struct Run {
    before: Tank,
}

/// How deep a program may be that runs on a small stack.
const SMALL_PROGRAM: usize = 100;

/// Whether this thread's stack can hold a program of this depth at all.
pub(super) fn holds(depth: usize) -> bool {
    has_large_stack() || depth <= SMALL_PROGRAM
}

impl Run {
    pub(super) fn start(limits: &Limits) -> Self {
        let lowest = LOWEST
            .get()
            .unwrap_or_else(|| here().saturating_sub(SMALL_STACK));
        Self {
            before: TANK.replace(Tank {
                steps: limits.steps,
                memory: MEMORY,
                work: 0,
                deadline: deadline(limits.time),
                lowest,
                spent: None,
            }),
        }
    }

    /// Which limit was hit, if any.
    #[expect(clippy::unused_self, reason = "dropped here: the evaluation is over")]
    pub(super) fn finish(self) -> Option<&'static str> {
        TANK.get().spent
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        TANK.set(self.before);
    }
}

fn deadline(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn update(change: impl FnOnce(&mut Tank) -> Result<(), &'static str>) -> Result<(), Spent> {
    TANK.with(|cell| {
        let mut tank = cell.get();
        if tank.spent.is_some() {
            return Err(Spent);
        }
        let outcome = change(&mut tank);
        tank.spent = outcome.err();
        cell.set(tank);
        outcome.map_err(|_| Spent)
    })
}

impl Tank {
    fn work(&mut self, amount: usize) -> Result<(), &'static str> {
        self.work = self.work.saturating_add(amount);
        if self.work < WORK_PER_LOOK {
            return Ok(());
        }
        self.work = 0;
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(TIME),
            _ => Ok(()),
        }
    }
}

/// Takes one step.
pub(super) fn step() -> Result<(), Spent> {
    let here = here();
    update(|tank| {
        tank.steps = tank.steps.checked_sub(1).ok_or(STEPS)?;
        if here < tank.lowest {
            return Err(STACK);
        }
        tank.work(WORK_PER_STEP)
    })
}

/// Accounts for memory about to be allocated.
pub(super) fn allocate(bytes: usize) -> Result<(), Spent> {
    update(|tank| {
        tank.memory = tank.memory.checked_sub(bytes).ok_or(SPACE)?;
        tank.work(bytes / 64)
    })
}

/// Accounts for work that neither steps nor allocates, such as comparing.
pub(super) fn work(amount: usize) -> Result<(), Spent> {
    update(|tank| tank.work(amount))
}

/// Notes that values are nested too deeply.
pub(super) fn too_deep() -> Spent {
    match update(|_| Err(DEPTH)) {
        Ok(()) | Err(Spent) => Spent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(steps: u64) -> Limits {
        Limits {
            steps,
            ..Limits::default()
        }
    }

    #[test]
    fn steps_run_out_and_stay_out() {
        let run = Run::start(&limits(2));
        assert_eq!([step(), step(), step()], [Ok(()), Ok(()), Err(Spent)]);
        assert_eq!(allocate(1), Err(Spent));
        assert_eq!(run.finish(), Some(STEPS));
    }

    #[test]
    fn memory_is_counted_before_it_is_used() {
        let run = Run::start(&limits(10));
        assert_eq!(allocate(MEMORY - 1), Ok(()));
        assert_eq!(allocate(2), Err(Spent));
        assert_eq!(run.finish(), Some(SPACE));
    }

    #[test]
    fn a_run_within_a_run_leaves_the_outer_one_as_it_was() {
        let outer = Run::start(&limits(2));
        {
            let inner = Run::start(&limits(0));
            assert_eq!(step(), Err(Spent));
            assert_eq!(inner.finish(), Some(STEPS));
        }
        assert_eq!(step(), Ok(()));
        assert_eq!(outer.finish(), None);
    }

    #[test]
    fn a_deadline_that_has_passed_is_noticed() {
        let run = Run::start(&Limits {
            time: Duration::ZERO,
            ..Limits::default()
        });
        while step().is_ok() {}
        assert_eq!(run.finish(), Some(TIME));
    }
}
