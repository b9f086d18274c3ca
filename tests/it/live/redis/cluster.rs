//! A cluster: our keys are on one of its nodes, whichever is asked.

use super::{RedisServer, event, eventually, take};

#[tokio::test]
async fn the_node_of_a_cluster_that_has_the_keys_is_found() {
    let asked = RedisServer::with(&["--cluster-enabled", "yes"]);
    let owner = RedisServer::with(&["--cluster-enabled", "yes"]);
    let _: () = owner
        .says(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])
        .await;
    let port = owner.port.to_string();
    let _: () = asked.says(&["CLUSTER", "MEET", "127.0.0.1", &port]).await;
    eventually("the nodes know each other", async || {
        for node in [&asked, &owner] {
            let state: String = node.says(&["CLUSTER", "INFO"]).await;
            if !state.contains("cluster_state:ok") || !state.contains("cluster_slots_ok:16384") {
                return false;
            }
        }
        true
    })
    .await;

    let replica = asked.replica().await;
    replica.spool.put(&[event("A", 1)]).await.unwrap();
    let taken = take(&replica.spool).await;
    replica.spool.done(taken).await;

    assert_eq!(replica.spool.counts().await.unwrap().waiting, 0);
    let keys: u64 = owner.says(&["DBSIZE"]).await;
    assert!(keys > 0);
}
