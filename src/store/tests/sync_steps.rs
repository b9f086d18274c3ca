use super::*;
use std::collections::BTreeMap;

fn at(time: &str) -> Timestamp {
    format!("2026-05-04T{time}Z").parse().unwrap()
}

fn step(kind: SyncStepKind, key: &str, began: Timestamp) -> NewSyncStep {
    NewSyncStep {
        began,
        page: "p1".to_owned(),
        incident: None,
        key: key.to_owned(),
        kind,
        components: vec!["c1".to_owned(), "c2".to_owned()],
        reason: "acknowledged".to_owned(),
        mode: SyncMode::Apply,
    }
}

fn open(key: &str, began: Timestamp) -> NewSyncStep {
    step(SyncStepKind::Open, key, began)
}

async fn note(store: &Store, step: NewSyncStep, outcome: SyncOutcome, incident: Option<&str>) {
    let ended = step.began;
    let step = store.step_began(step).await;
    let incident = incident.map(str::to_owned);
    store.step_ended(step, ended, outcome, incident, None).await;
}

async fn unsettled_keys(store: &Store, since: Timestamp) -> Vec<String> {
    let unsettled = store.unsettled(since).await.unwrap();
    unsettled.into_iter().map(|open| open.key).collect()
}

#[tokio::test]
async fn a_step_is_remembered_whole_by_who_opens_the_file_later() {
    let (_directory, path) = directory_with_path();
    let first = Store::open(&path).await;
    let began = at("10:00:00.25");
    let under_way = first.step_began(open("component:c1", began)).await;
    assert!(under_way.is_noted());
    let resolve = NewSyncStep {
        incident: Some("i1".to_owned()),
        components: Vec::new(),
        ..step(SyncStepKind::Resolve, "component:c2", began)
    };
    let resolve = first.step_began(resolve).await;
    let detail = Some("a human was faster".to_owned());
    first
        .step_ended(
            resolve,
            at("10:00:01"),
            SyncOutcome::Skipped,
            None,
            detail.clone(),
        )
        .await;

    let store = Store::open(&path).await;

    let steps = store.sync_steps(10).await.unwrap();
    assert_eq!(steps.len(), 2);
    let resolve = &steps[0];
    assert_eq!(resolve.ended, Some(at("10:00:01")));
    assert_eq!(resolve.kind, SyncStepKind::Resolve);
    assert_eq!(resolve.incident.as_deref(), Some("i1"));
    assert_eq!(resolve.outcome, Some(SyncOutcome::Skipped));
    assert_eq!(resolve.components, Vec::<String>::new());
    assert_eq!(resolve.detail, detail);
    let expected = SyncStepRecord {
        began,
        ended: None,
        page: "p1".to_owned(),
        incident: None,
        key: "component:c1".to_owned(),
        kind: SyncStepKind::Open,
        components: vec!["c1".to_owned(), "c2".to_owned()],
        reason: "acknowledged".to_owned(),
        mode: SyncMode::Apply,
        outcome: None,
        detail: None,
    };
    assert_eq!(steps[1], expected);
    assert_eq!(store.sync_steps(1).await.unwrap(), steps[..1]);
}

#[tokio::test]
async fn an_incident_is_unsettled_unless_it_certainly_was_not_opened() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    let now = at("10:00:00");
    let table = [
        ("done", SyncOutcome::Done, Some("i1")),
        ("unknown", SyncOutcome::Unknown, None),
        ("refused", SyncOutcome::Refused, None),
        ("skipped", SyncOutcome::Skipped, None),
        ("planned", SyncOutcome::Planned, None),
    ];
    for (key, outcome, incident) in table {
        note(&store, open(key, now), outcome, incident).await;
    }
    store.step_began(open("under way", now)).await;
    let only_shown = NewSyncStep {
        mode: SyncMode::Plan,
        ..open("only shown", now)
    };
    store.step_began(only_shown).await;
    let reopen = step(SyncStepKind::Reopen, "reopened", now);
    note(&store, reopen, SyncOutcome::Done, Some("i2")).await;

    let unsettled = store.unsettled(now).await.unwrap();

    let expected = |key: &str, incident: Option<&str>| UnsettledOpen {
        page: "p1".to_owned(),
        key: key.to_owned(),
        components: vec!["c1".to_owned(), "c2".to_owned()],
        last: now,
        incident: incident.map(str::to_owned),
    };
    let expected = [
        expected("done", Some("i1")),
        expected("unknown", None),
        expected("under way", None),
    ];
    assert_eq!(unsettled, expected);
}

#[tokio::test]
async fn what_began_before_is_settled_to_the_fraction_of_a_second() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    for time in ["09:59:59.9", "10:00:00", "10:00:00.5", "10:00:01"] {
        store.step_began(open(time, at(time))).await;
    }
    let table = [
        ("10:00:00", vec!["10:00:00", "10:00:00.5", "10:00:01"]),
        ("10:00:00.5", vec!["10:00:00.5", "10:00:01"]),
        ("10:00:00.500001", vec!["10:00:01"]),
        ("10:00:02", vec![]),
    ];
    for (since, expected) in table {
        assert_eq!(unsettled_keys(&store, at(since)).await, expected, "{since}");
    }
}

#[tokio::test]
async fn what_waited_long_for_its_turn_is_unsettled_from_its_end() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    let waited = store.step_began(open("waited", at("10:00:00"))).await;
    store
        .step_ended(waited, at("10:01:00"), SyncOutcome::Done, None, None)
        .await;
    let unsettled = store.unsettled(at("10:00:30")).await.unwrap();
    assert_eq!(unsettled[0].last, at("10:01:00"));
}

#[tokio::test]
async fn the_incident_that_was_opened_last_is_known_by_its_key() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    let now = at("10:00:00");
    note(&store, open("a", now), SyncOutcome::Done, Some("i1")).await;
    note(&store, open("a", now), SyncOutcome::Done, Some("i2")).await;
    note(&store, open("b", now), SyncOutcome::Refused, Some("i3")).await;
    let reopened = step(SyncStepKind::Reopen, "c", now);
    note(&store, reopened, SyncOutcome::Done, Some("i4")).await;
    let resolved = step(SyncStepKind::Resolve, "d", now);
    note(&store, resolved, SyncOutcome::Done, Some("i5")).await;

    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, id)| ((*key).to_owned(), (*id).to_owned()))
            .collect()
    };
    assert_eq!(
        store.last_opened("p1").await,
        pairs(&[("a", "i2"), ("c", "i4")])
    );
    assert_eq!(store.last_opened("p2").await, BTreeMap::new());
}

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_not_an_empty_one() {
    let _logged = Logged::start();
    let (_directory, path) = directory_with_path();
    let store = Store::open(&path).await;
    assert!(!store.is_in_memory());
    assert_eq!(store.unsettled(at("10:00:00")).await, Some(Vec::new()));
    let sql = |sql: &'static str| {
        store.attempt("change", move |connection: &mut Connection| {
            connection.execute_batch(sql)
        })
    };
    sql("ALTER TABLE sync_step RENAME TO moved").await.unwrap();

    assert_eq!(store.unsettled(at("10:00:00")).await, None);
    let unnoted = store.step_began(open("component:c1", at("10:00:00"))).await;
    assert!(!unnoted.is_noted());

    // What could not be noted at its beginning is noted whole at its end.
    sql("ALTER TABLE moved RENAME TO sync_step").await.unwrap();
    store
        .step_ended(unnoted, at("10:00:01"), SyncOutcome::Unknown, None, None)
        .await;
    assert_eq!(
        unsettled_keys(&store, at("10:00:00")).await,
        ["component:c1"]
    );
    let in_memory = Store::open(Path::new(IN_MEMORY)).await;
    assert!(in_memory.is_in_memory());
}

#[tokio::test]
async fn what_was_noted_is_on_the_disk() {
    let (_directory, path) = directory_with_path();
    let store = Store::open(&path).await;

    let pragmas = |connection: &mut Connection| {
        let synchronous: u32 =
            connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        let journal: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((synchronous, journal))
    };

    // With a log that is written ahead, only FULL waits for the disk at each commit.
    let full = (2, "wal".to_owned());
    assert_eq!(store.attempt("read", pragmas).await, Some(full));
}

#[tokio::test]
async fn the_newest_ten_thousand_steps_are_remembered() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    store.step_began(open("first", at("10:00:00"))).await;
    let many = |connection: &mut Connection| {
        connection.execute(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 9999)
             INSERT INTO sync_step (began, page, key, kind, components, reason, mode)
             SELECT '2026-05-04T10:00:00Z', 'p1', 'k', 'update', '', '', 'apply' FROM number",
            [],
        )
    };
    store.attempt("write", many).await.unwrap();
    assert_eq!(store.sync_steps(u32::MAX).await.unwrap().len(), 10_000);

    store.step_began(open("last", at("10:00:00"))).await;

    let steps = store.sync_steps(u32::MAX).await.unwrap();
    assert_eq!(steps.len(), 10_000);
    assert_eq!(steps[0].key, "last");
    assert_eq!(steps[9_999].key, "k");
}

#[tokio::test]
async fn every_name_is_one_that_the_table_takes() {
    let logged = Logged::start();
    let store = Store::open(Path::new(IN_MEMORY)).await;
    let kinds = [
        SyncStepKind::Open,
        SyncStepKind::Update,
        SyncStepKind::Reopen,
        SyncStepKind::Resolve,
        SyncStepKind::Restore,
        SyncStepKind::Adopt,
        SyncStepKind::TakeBack,
        SyncStepKind::Record,
    ];
    for kind in kinds {
        note(
            &store,
            step(kind, kind.as_str(), at("10:00:00")),
            SyncOutcome::Done,
            None,
        )
        .await;
    }
    let steps = store.sync_steps(20).await.unwrap();
    let noted: Vec<_> = steps.iter().rev().map(|step| step.kind).collect();
    assert_eq!(noted, kinds);
    assert_eq!(logged.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_of_the_version_before_keeps_its_runs_and_gets_the_table() {
    let (_directory, path) = directory_with_path();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut before = Connection::open(&path).unwrap();
    schema::MIGRATIONS.to_version(&mut before, 1).unwrap();
    let run = "INSERT INTO run (trigger, started, outcome) VALUES ('once', '2026-05-04T10:00:00Z', 'done')";
    before.execute(run, []).unwrap();
    drop(before);

    let store = Store::open(&path).await;

    assert_eq!(
        outcomes(&store.runs(10).await.unwrap()),
        [Some(Outcome::Done)]
    );
    assert!(
        store
            .step_began(open("component:c1", at("10:00:00")))
            .await
            .is_noted()
    );
}

#[tokio::test]
async fn a_reason_is_masked_and_cut() {
    let store = Store::open(Path::new(IN_MEMORY)).await;
    let secret = format!("ya29.{}", "invented".repeat(5));
    let text = format!("{secret} {}", "x".repeat(LONGEST_TEXT));
    let leaky = NewSyncStep {
        reason: text.clone(),
        ..open("component:c1", at("10:00:00"))
    };
    let leaky = store.step_began(leaky).await;
    store
        .step_ended(
            leaky,
            at("10:00:01"),
            SyncOutcome::Refused,
            None,
            Some(text),
        )
        .await;

    let step = store.sync_steps(1).await.unwrap().remove(0);

    for text in [step.reason, step.detail.unwrap()] {
        assert!(text.starts_with("[REDACTED]"), "{text}");
        assert_eq!(text.chars().count(), LONGEST_TEXT + 1);
    }
}
