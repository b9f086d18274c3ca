use futures_util::FutureExt;

use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-06-01T{text}Z").parse().unwrap()
}

fn keys<const N: usize>(names: [&str; N]) -> [EntityKey; N] {
    names.map(|name| EntityKey::of("thing", name))
}

#[test]
fn a_key_is_the_same_everywhere_and_tells_blueprint_from_identifier() {
    assert_eq!(
        EntityKey::of("thing", "a").to_string(),
        "34b8752e73b5d4187c9dedd5b98e3663"
    );
    assert_ne!(EntityKey::of("ab", "c"), EntityKey::of("a", "bc"));
}

#[tokio::test]
async fn the_latest_fetch_counts() {
    let recent = RecentWrites::default();
    let [a, b] = keys(["a", "b"]);
    recent.note(&[a], at("12:00:05")).await;
    recent.note(&[a], at("12:00:01")).await;

    let asked = [
        (a, at("12:00:04")),
        (a, at("12:00:05")),
        (b, at("12:00:00")),
    ];
    assert_eq!(recent.newer_than(&asked).await, [true, false, false]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_nothing_old_news_for_ever() {
    let recent = RecentWrites::default();
    let [a] = keys(["a"]);
    let now = Timestamp::now();
    recent.note(&[a], now + SignedDuration::from_hours(1)).await;

    assert_eq!(recent.newer_than(&[(a, now)]).await, [false]);
}

#[test]
fn what_is_listed_counts_as_somewhat_older() {
    let recent = RecentWrites::new(RecentWrites::LIST_LAG);
    assert_eq!(recent.as_listed(at("12:00:30")), at("12:00:20"));
    assert_eq!(recent.as_listed(Timestamp::MIN), Timestamp::MIN);
}

#[tokio::test]
async fn who_claims_waits_for_whoever_has_any_of_it_and_then_hears_the_news() {
    let recent = Arc::new(RecentWrites::default());
    let [a, b, c] = keys(["a", "b", "c"]);
    let old = at("12:00:00");
    let first = recent.claim(&[(a, old), (b, old)]).await;
    let others = recent.claim(&[(c, old)]).now_or_never();
    assert!(others.is_some_and(|claim| !claim.is_outdated(c)));

    let wanted = [(b, old), (c, old)];
    let mut second = Box::pin(recent.claim(&wanted));
    assert!(second.as_mut().now_or_never().is_none());
    // It has taken nothing while it waits.
    assert!(recent.claim(&[(c, old)]).now_or_never().is_some());
    recent.note(&[b], at("12:00:01")).await;
    drop(first);

    let second = second.await;
    assert!(second.is_outdated(b) && !second.is_outdated(c));
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let recent = Arc::new(RecentWrites::default());
    let [a] = keys(["a"]);
    let first = recent.claim(&[(a, at("12:00:00"))]).await;
    assert!(
        recent
            .claim(&[(a, at("12:00:00"))])
            .now_or_never()
            .is_none()
    );
    drop(first);

    assert!(
        recent
            .claim(&[(a, at("12:00:00"))])
            .now_or_never()
            .is_some()
    );
}

#[tokio::test]
async fn an_entity_is_touched_until_its_claim_is_released() {
    let recent = Arc::new(RecentWrites::default());
    let [a, b] = keys(["a", "b"]);
    recent.note(&[a], at("12:00:00")).await;
    let claim = recent
        .claim(&[(a, at("12:00:00")), (b, at("12:00:00"))])
        .await;
    let later = Timestamp::now();

    assert_eq!(
        recent.touched_since(&[a, b], Timestamp::MAX).await,
        [true, false]
    );
    drop(claim);
    assert_eq!(
        recent.touched_since(&[a, b], Timestamp::MAX).await,
        [false, false]
    );
    assert_eq!(recent.touched_since(&[a], later).await, [true]);
}

#[test]
fn the_oldest_notes_are_forgotten_and_what_was_noted_again_is_not() {
    let mut state = State::default();
    let [old, again, new] = keys(["old", "again", "new"]);
    let note = |state: &mut State, entity, time: Timestamp| {
        let noted = Noted {
            fetched: time,
            at: time,
            touched: time,
        };
        state.noted.insert(entity, noted);
        state.order.push_back((time, entity));
    };
    note(&mut state, old, at("01:00:00"));
    note(&mut state, again, at("01:00:00"));
    note(&mut state, new, at("12:00:00"));
    note(&mut state, again, at("13:00:00"));

    state.forget(at("13:30:00"));

    assert!(!state.noted.contains_key(&old));
    assert!(state.noted.contains_key(&again) && state.noted.contains_key(&new));
    assert_eq!(state.order.len(), 2);
}

/// What two processes share: notes, and who has claimed what.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<SharedState>>);

#[derive(Default)]
struct SharedState {
    noted: Vec<(EntityKey, Timestamp)>,
    claimed: Vec<EntityKey>,
    renewed: usize,
}

struct Held(Shared, Vec<EntityKey>);

impl SharedWrites for Shared {
    fn note(&self, entities: Vec<(EntityKey, Timestamp)>) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().noted.extend(entities);
        std::future::ready(()).boxed()
    }

    fn noted(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Instants> {
        let state = self.0.lock().unwrap();
        let of = |entity: &EntityKey| {
            let noted = state.noted.iter().find(|(known, _)| known == entity);
            noted.map(|(_, at)| *at)
        };
        let answer: Instants = entities.iter().map(of).collect();
        std::future::ready(answer).boxed()
    }

    fn claim(&self, entities: Vec<EntityKey>) -> BoxFuture<'_, Box<dyn SharedClaim>> {
        async move {
            loop {
                {
                    let mut state = self.0.lock().unwrap();
                    if !entities.iter().any(|one| state.claimed.contains(one)) {
                        state.claimed.extend(&entities);
                        let held: Box<dyn SharedClaim> = Box::new(Held(self.clone(), entities));
                        return held;
                    }
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
        .boxed()
    }
}

impl SharedClaim for Held {
    fn holds_for(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn renew(&self) -> BoxFuture<'_, ()> {
        self.0.0.lock().unwrap().renewed += 1;
        std::future::ready(()).boxed()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        let mut state = self.0.0.lock().unwrap();
        state.claimed.retain(|one| !self.1.contains(one));
        std::future::ready(()).boxed()
    }
}

#[tokio::test]
async fn what_others_wrote_is_asked_for_and_what_is_noted_is_told() {
    let shared = Shared::default();
    let recent = RecentWrites::default().shared_through(shared.clone());
    let [a, b, c] = keys(["a", "b", "c"]);
    shared.0.lock().unwrap().noted.push((a, at("12:00:00")));

    recent.note(&[b], at("12:00:02")).await;

    assert_eq!(shared.0.lock().unwrap().noted.len(), 2);
    let asked = [a, b, c].map(|entity| (entity, at("11:59:59")));
    assert_eq!(recent.newer_than(&asked).await, [true, true, false]);
    let touched = recent.touched_since(&[a, c], at("12:01:59")).await;
    assert_eq!(touched, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_keeps_other_processes_away_for_as_long_as_the_work_takes() {
    let shared = Shared::default();
    let process = || Arc::new(RecentWrites::default().shared_through(shared.clone()));
    let (resyncing, other) = (process(), process());
    let [a] = keys(["a"]);
    let wanted = [(a, at("12:00:00"))];
    let first = resyncing.claim(&wanted).await;
    let working = first.during(sleep(Duration::from_secs(95)));

    let began = tokio::time::Instant::now();
    let waiting = async {
        other.note(&[a], at("12:00:01")).await;
        let second = other.claim(&wanted).await;
        (second, began.elapsed())
    };
    let ((), (second, after)) = tokio::join!(working, waiting);

    assert!(after >= Duration::from_secs(95), "{after:?}");
    assert!(second.is_outdated(a));
    assert_eq!(shared.0.lock().unwrap().renewed, 9);
    second.release().await;
    assert!(shared.0.lock().unwrap().claimed.is_empty());
}
