//! `portolan check` looks at the Redis as well.

use crate::program::{portolan, small_sandbox, with};

use super::RedisServer;

#[tokio::test]
async fn a_redis_that_deletes_what_waits_or_is_away_is_found_by_a_check() {
    let sandbox = small_sandbox().await;
    let mut redis = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let listener = "OCEAN__EVENT_LISTENER__TYPE";
    let environment = with(sandbox.environment(), listener, "POLLING");
    let environment = with(environment, "OCEAN__LIVE_EVENTS__REDIS__URL", &redis.url());

    let outcome = portolan(&["check"], &environment).await.expect_code(2);
    let stdout = &outcome.stdout;
    assert!(
        stdout.contains("✓ Redis: it answers, in version "),
        "{stdout}"
    );
    assert!(stdout.contains("✗ Redis: it deletes keys"), "{stdout}");
    assert!(
        stdout.contains("set `maxmemory-policy noeviction`"),
        "{stdout}"
    );

    redis.kill();
    let outcome = portolan(&["check"], &environment).await.expect_code(2);
    let stdout = &outcome.stdout;
    assert!(
        stdout.contains("✗ Redis: the Redis at 127.0.0.1:"),
        "{stdout}"
    );
    assert!(
        stdout.contains("OCEAN__LIVE_EVENTS__REDIS__URL"),
        "{stdout}"
    );
}
