//! Whatever is done with a spool, in whatever order: it does what a list in memory
//! would do that nothing can happen to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::tests::{deliveries, event};
use super::*;

/// Pauses are none or longer than any test, so that no clock decides anything.
const LONG: Duration = Duration::from_mins(50);

#[derive(Clone, Debug)]
enum Step {
    /// Events of one request: subject and delivery.
    Put(Vec<(u8, u8)>),
    Take,
    /// Which of those that are held, and what becomes of it.
    GiveBack(prop::sample::Index, GiveBack),
    Replay(prop::sample::Index),
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum GiveBack {
    Done,
    Later { is_long: bool },
    Bury,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let put = prop::collection::vec((0_u8..4, 0_u8..40), 1..4).prop_map(Step::Put);
    let give_back = prop_oneof![
        3 => Just(GiveBack::Done),
        2 => any::<bool>().prop_map(|is_long| GiveBack::Later { is_long }),
        1 => Just(GiveBack::Bury),
        1 => Just(GiveBack::Drop),
    ];
    prop_oneof![
        4 => put,
        5 => Just(Step::Take),
        4 => (any::<prop::sample::Index>(), give_back).prop_map(|(which, how)| Step::GiveBack(which, how)),
        1 => any::<prop::sample::Index>().prop_map(Step::Replay),
        1 => Just(Step::Restart),
    ]
}

/// What ought to wait for a subject.
#[derive(Debug, Default)]
struct Waiting {
    /// By the order in which they came in.
    events: BTreeMap<u32, String>,
    attempts: u32,
    is_put_off: bool,
}

#[derive(Default)]
struct Model {
    subjects: BTreeMap<String, Waiting>,
    /// With the subject and the order.
    dead: BTreeMap<String, (String, u32)>,
    seen: BTreeSet<String>,
    held: BTreeMap<String, Taken>,
    order: u32,
}

impl Model {
    fn put(&mut self, events: &[NewEvent]) -> Put {
        let mut put = Put::default();
        for event in events {
            if self.seen.insert(event.delivery.clone()) {
                self.order += 1;
                let waiting = self.subjects.entry(event.subject.key()).or_default();
                waiting.events.insert(self.order, event.delivery.clone());
                put.stored += 1;
            } else {
                put.duplicates += 1;
            }
        }
        put
    }

    fn is_due(&self, key: &str) -> bool {
        let waiting = &self.subjects[key];
        !waiting.is_put_off && !self.held.contains_key(key)
    }

    /// Whether somebody could have been given this.
    fn check(&self, taken: Option<&Taken>) -> Result<(), TestCaseError> {
        let Some(taken) = taken else {
            let due: Vec<_> = self
                .subjects
                .keys()
                .filter(|key| self.is_due(key))
                .collect();
            prop_assert!(due.is_empty(), "nothing was taken, and due are {due:?}");
            return Ok(());
        };
        let key = taken.subject.key();
        prop_assert!(
            self.subjects.contains_key(&key) && self.is_due(&key),
            "{key}"
        );
        let waiting = &self.subjects[&key];
        let expected: Vec<_> = waiting.events.values().cloned().collect();
        prop_assert_eq!(deliveries(taken), expected, "oldest first, and all");
        prop_assert_eq!(taken.attempt, waiting.attempts + 1);
        Ok(())
    }

    fn give_back(&mut self, taken: &Taken, how: GiveBack) {
        let key = taken.subject.key();
        let waiting = self.subjects.get_mut(&key).unwrap();
        match how {
            GiveBack::Drop => return,
            GiveBack::Later { is_long } => {
                waiting.attempts = taken.attempt;
                waiting.is_put_off = is_long;
                return;
            }
            GiveBack::Done | GiveBack::Bury => {}
        }
        let taken = deliveries(taken);
        let (gone, left) = std::mem::take(&mut waiting.events)
            .into_iter()
            .partition(|(_, delivery)| taken.contains(delivery));
        let gone: BTreeMap<u32, String> = gone;
        *waiting = Waiting {
            events: left,
            ..Waiting::default()
        };
        if waiting.events.is_empty() {
            self.subjects.remove(&key);
        }
        if matches!(how, GiveBack::Bury) {
            let dead = gone
                .into_iter()
                .map(|(order, delivery)| (delivery, (key.clone(), order)));
            self.dead.extend(dead);
        }
    }

    fn replay(&mut self, delivery: &str) {
        let (key, order) = self.dead.remove(delivery).unwrap();
        let waiting = self.subjects.entry(key).or_default();
        waiting.events.insert(order, delivery.to_owned());
        waiting.attempts = 0;
        waiting.is_put_off = false;
    }
}

async fn act(
    spool: &mut LocalSpool,
    path: &Path,
    model: &mut Model,
    step: Step,
) -> Result<(), TestCaseError> {
    match step {
        Step::Put(events) => {
            let events: Vec<_> = events
                .into_iter()
                .map(|(subject, delivery)| event(&format!("i{subject}"), &format!("d{delivery}")))
                .collect();
            prop_assert_eq!(spool.put(&events).await.unwrap(), model.put(&events));
        }
        Step::Take => {
            let taken = spool.take_now().await;
            model.check(taken.as_ref())?;
            let held = taken.into_iter().map(|taken| (taken.subject.key(), taken));
            model.held.extend(held);
        }
        Step::GiveBack(which, how) => {
            let held: Vec<_> = model.held.keys().cloned().collect();
            if held.is_empty() {
                return Ok(());
            }
            let taken = model.held.remove(which.get(&held)).unwrap();
            model.give_back(&taken, how);
            match how {
                GiveBack::Done => spool.done(taken).await,
                GiveBack::Later { is_long } => {
                    let pause = if is_long { LONG } else { Duration::ZERO };
                    spool.later(taken, pause, "later").await;
                }
                GiveBack::Bury => spool.bury(taken, "never").await,
                GiveBack::Drop => drop(taken),
            }
        }
        Step::Replay(which) => {
            let dead = spool.dead(u32::MAX).await.unwrap();
            let found: BTreeSet<_> = dead.iter().map(|dead| &dead.event.delivery).collect();
            prop_assert_eq!(found, model.dead.keys().collect());
            if !dead.is_empty() {
                let chosen = which.get(&dead);
                prop_assert_eq!(
                    spool
                        .replay(std::slice::from_ref(&chosen.id))
                        .await
                        .unwrap(),
                    1
                );
                model.replay(&chosen.event.delivery);
            }
        }
        Step::Restart => {
            *spool = LocalSpool::open(path).await;
            model.held.clear();
        }
    }
    let counts = spool.counts().await.unwrap();
    let waiting: usize = model
        .subjects
        .values()
        .map(|waiting| waiting.events.len())
        .sum();
    prop_assert_eq!(counts.waiting, u64::try_from(waiting).unwrap());
    prop_assert_eq!(counts.dead, u64::try_from(model.dead.len()).unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_list_would_do(steps in prop::collection::vec(step(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.sqlite3");
        Runtime::new().unwrap().block_on(async {
            let mut spool = LocalSpool::open(&path).await;
            let mut model = Model::default();
            for step in steps {
                act(&mut spool, &path, &mut model, step).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
