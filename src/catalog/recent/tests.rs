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

#[tokio::test]
async fn what_others_wrote_is_asked_for_and_what_is_noted_is_told() {
    let told: Arc<Mutex<Vec<(EntityKey, Timestamp)>>> = Arc::default();
    let (telling, asked) = (Arc::clone(&told), Arc::clone(&told));
    let recent = RecentWrites::default().shared_through(SharedWrites {
        tell: Box::new(move |notes| {
            telling.lock().unwrap().extend(notes);
            std::future::ready(()).boxed()
        }),
        ask: Box::new(move |entities| {
            let told = asked.lock().unwrap();
            let of = |entity: &EntityKey| {
                let noted = told.iter().find(|(known, _)| known == entity);
                noted.map(|(_, at)| *at)
            };
            let answer: Instants = entities.iter().map(of).collect();
            std::future::ready(answer).boxed()
        }),
    });
    let [a, b, c] = keys(["a", "b", "c"]);
    told.lock().unwrap().push((a, at("12:00:00")));

    recent.note(&[b], at("12:00:02")).await;

    assert_eq!(told.lock().unwrap().len(), 2);
    let asked = [a, b, c].map(|entity| (entity, at("11:59:59")));
    assert_eq!(recent.newer_than(&asked).await, [true, true, false]);
    let touched = recent.touched_since(&[a, c], at("12:01:59")).await;
    assert_eq!(touched, [true, false]);
}
