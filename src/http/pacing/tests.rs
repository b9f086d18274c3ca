use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn announced(limit: u64, remaining: u64, reset: u64) -> Announced {
    Announced {
        limit: Some(limit),
        remaining: Some(remaining),
        reset: Some(seconds(reset)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_free_one_minute_after_the_answer_not_after_the_request() {
    let pacer = Pacer::new("Statuspage", Some(1));
    let began = Instant::now();

    let slot = pacer.acquire().await;
    sleep(seconds(10)).await;
    drop(slot);
    drop(pacer.acquire().await);

    assert_eq!(began.elapsed(), seconds(70));
}

#[tokio::test(start_paused = true)]
async fn no_rolling_minute_holds_more_requests_than_allowed_wherever_the_server_counts_them() {
    const LIMIT: usize = 7;
    let pacer = Pacer::new("Statuspage", Some(7));
    let requests = (0..50_u64).map(|number| {
        let pacer = Arc::clone(&pacer);
        async move {
            let slot = pacer.acquire().await;
            let sent = Instant::now();
            sleep(Duration::from_millis(137 * (number % 11))).await;
            drop(slot);
            (sent, Instant::now())
        }
    });
    let mut requests = join_all(requests).await;

    requests.sort_unstable();
    for window in requests.windows(LIMIT + 1) {
        // Counted as late as possible, then as early as possible.
        let first_counted = window.iter().map(|(_, answered)| *answered).min().unwrap();
        let (last_counted, _) = window[LIMIT];
        assert!(last_counted - first_counted >= MINUTE);
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_limit_is_used_at_once_and_again_after_a_minute() {
    let pacer = Pacer::new("Statuspage", Some(60));
    let began = Instant::now();

    for _ in 0..60 {
        drop(pacer.acquire().await);
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    for _ in 0..60 {
        drop(pacer.acquire().await);
    }
    assert_eq!(began.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn requests_start_in_the_order_in_which_they_asked() {
    let pacer = Pacer::new("Statuspage", Some(2));
    let order = Arc::new(Mutex::new(Vec::new()));
    join_all((0..9).map(|number| {
        let (pacer, order) = (Arc::clone(&pacer), Arc::clone(&order));
        async move {
            let _slot = pacer.acquire().await;
            order.lock().unwrap().push(number);
        }
    }))
    .await;
    assert_eq!(*order.lock().unwrap(), (0..9).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_abandoned_passes_the_turn_and_uses_no_slot() {
    let pacer = Pacer::new("Statuspage", Some(1));
    let began = Instant::now();
    drop(pacer.acquire().await);

    let impatient = timeout(seconds(5), pacer.acquire());
    let patient = pacer.acquire();
    let (impatient, slot) = tokio::join!(impatient, patient);

    assert!(impatient.is_err());
    assert_eq!(began.elapsed(), MINUTE);
    drop(slot);
}

#[tokio::test(start_paused = true)]
async fn a_request_abandoned_under_way_counts_since_the_server_may_have_seen_it() {
    let pacer = Pacer::new("Statuspage", Some(1));
    let began = Instant::now();

    let abandoned = async {
        let _slot = pacer.acquire().await;
        std::future::pending::<()>().await;
    };
    assert!(timeout(seconds(3), abandoned).await.is_err());
    drop(pacer.acquire().await);

    assert_eq!(began.elapsed(), seconds(63));
}

#[tokio::test(start_paused = true)]
async fn a_hold_keeps_every_request_back_those_that_wait_already_included() {
    let pacer = Pacer::new("PagerDuty", Some(1));
    let began = Instant::now();
    drop(pacer.acquire().await);

    let waiting = pacer.acquire();
    let holding = async {
        sleep(seconds(30)).await;
        pacer.hold(seconds(90));
        // A shorter one does not shorten it.
        pacer.hold(seconds(1));
    };
    let (slot, ()) = tokio::join!(waiting, holding);

    assert_eq!(began.elapsed(), seconds(120));
    drop(slot);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_nothing_is_left() {
    let pacer = Pacer::new("Port", None);
    let began = Instant::now();
    pacer.observe(announced(100, 0, 20));
    drop(pacer.acquire().await);
    assert_eq!(began.elapsed(), seconds(20));
}

#[tokio::test(start_paused = true)]
async fn what_little_is_left_is_spread_over_the_time_left() {
    let pacer = Pacer::new("PagerDuty", Some(960));
    drop(pacer.acquire().await);
    let began = Instant::now();
    pacer.observe(announced(960, 10, 30));

    for expected in [3, 6, 9] {
        drop(pacer.acquire().await);
        assert_eq!(began.elapsed(), seconds(expected));
    }
    pacer.observe(announced(960, 950, 60));
    drop(pacer.acquire().await);
    assert_eq!(
        began.elapsed(),
        seconds(9),
        "a new period lifts the spacing"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_count_against_what_is_left() {
    let pacer = Pacer::new("PagerDuty", Some(960));
    let began = Instant::now();
    let _under_way = [pacer.acquire().await, pacer.acquire().await];
    pacer.observe(announced(960, 2, 15));
    drop(pacer.acquire().await);
    assert_eq!(began.elapsed(), seconds(15));
}

#[tokio::test(start_paused = true)]
async fn a_reset_far_away_is_not_waited_for_in_advance() {
    let pacer = Pacer::new("Port", None);
    let began = Instant::now();
    pacer.observe(announced(100, 0, 3_600));
    drop(pacer.acquire().await);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_waits() {
    let pacer = Pacer::new("Port", None);
    let began = Instant::now();
    let _slots = join_all((0..1_000).map(|_| pacer.acquire())).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_key_share_a_pacer_with_the_stricter_limit() {
    let one = Pacer::shared("Statuspage", "shared.example.com", "key", Some(60));
    let same = Pacer::shared("Statuspage", "shared.example.com", "key", Some(2));
    let other_key = Pacer::shared("Statuspage", "shared.example.com", "other", Some(60));
    let other_host = Pacer::shared("Statuspage", "other.example.com", "key", Some(60));

    assert!(Arc::ptr_eq(&one, &same));
    assert!(!Arc::ptr_eq(&one, &other_key));
    assert!(!Arc::ptr_eq(&one, &other_host));

    let began = Instant::now();
    for _ in 0..3 {
        drop(one.acquire().await);
    }
    assert_eq!(began.elapsed(), MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_not_forgotten_before_the_server_has_forgotten_its_requests() {
    let shared = || Pacer::shared("Statuspage", "forget.example.com", "key", Some(1));
    let began = Instant::now();
    drop(shared().acquire().await);
    drop(shared().acquire().await);
    assert_eq!(began.elapsed(), MINUTE);
}

#[test]
fn a_long_wait_is_said_once() {
    let mut state = State::new(Some(60));
    let now = Instant::now();
    let until = now + seconds(42);
    assert!(state.announce(now, until, WORTH_SAYING));
    assert!(!state.announce(now, until, WORTH_SAYING));
    assert!(!state.announce(now, until + seconds(1), WORTH_SAYING));
    assert!(!state.announce(now, now + seconds(9), WORTH_SAYING));
    assert!(state.announce(until, until + seconds(42), WORTH_SAYING));
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_key_is_held_back_is_measured_once_whoever_waits() {
    let pacer = Pacer::new("Held", None);
    pacer.hold(seconds(30));
    join_all((0..5).map(|_| async { drop(pacer.acquire().await) })).await;

    let exposed = metrics::expose(metrics::Exposition::OpenMetrics, false);
    let waited = r#"portolan_api_rate_limit_wait_seconds_total{api="held"} 30.0"#;
    assert!(exposed.lines().any(|line| line == waited), "{exposed}");
}
