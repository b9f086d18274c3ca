//! What a client can take: size, time, number; and how the server ends.

use super::*;

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_or_without_a_length() {
    let web = Running::start(None, true).await;
    let fits = web
        .post("/resync")
        .body(vec![b' '; BODY_LIMIT as usize])
        .send()
        .await
        .unwrap();
    assert_eq!(fits.status(), 200);

    // Only the head is sent: the length alone is enough.
    let announced = format!(
        "POST /resync HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
        BODY_LIMIT + 1
    );
    let mut answer = [0; 12];
    web.raw(&announced)
        .await
        .read_exact(&mut answer)
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");

    let chunk = format!("100000\r\n{}\r\n", " ".repeat(BODY_LIMIT as usize));
    let chunked = format!(
        "POST /resync HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n{chunk}1\r\nx\r\n"
    );
    web.raw(&chunked)
        .await
        .read_exact(&mut answer)
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert_eq!(web.asked(), 1);
}

// The paused clock leaps ahead as soon as everybody waits, which is what a slow
// client makes of the server.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_what_it_says_is_not_waited_for() {
    let web = Running::start(None, true).await;
    for head in ["", "GET /metr", "GET /metrics HTTP/1.1\r\nhost: h\r\n"] {
        let answer = rest(web.raw(head).await).await;
        assert!(!answer.contains(" 200 "), "{head:?}: {answer}");
    }
    let half = "POST /resync HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n{";
    let answer = rest(web.raw(half).await).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(web.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_and_not_used_is_closed() {
    let web = Running::start(None, false).await;
    let answer = rest(
        web.raw("GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n")
            .await,
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn more_requests_than_are_worked_on_at_a_time_are_turned_away_but_health_is_not() {
    let web = Running::start(None, true).await;
    let mut waiting = Vec::new();
    for _ in 0..REQUESTS_AT_A_TIME {
        waiting.push(web.raw("POST /resync HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{").await);
    }
    // They were sent; when they have arrived is the server's affair.
    timeout(Duration::from_secs(5), async {
        while web.status("/metrics").await != 503 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(web.status("/health/live").await, 200);

    for stream in &mut waiting {
        stream.write_all(b"}").await.unwrap();
    }
    for stream in waiting {
        assert!(rest(stream).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(web.status("/metrics").await, 200);
    assert_eq!(web.asked(), REQUESTS_AT_A_TIME);
}

#[tokio::test]
async fn a_request_under_way_is_still_answered_when_the_server_stops() {
    let web = Running::start(None, true).await;
    let half =
        "POST /resync HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    let mut under_way = web.raw(half).await;
    // The server asks for the body once the request has reached its handler.
    let mut go_on = [0; 25];
    under_way.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    web.stop.cancel();
    under_way.write_all(b"{}").await.unwrap();
    assert!(rest(under_way).await.starts_with("HTTP/1.1 200 "));
    web.server.await.unwrap();
    assert_eq!(web.asked.load(Ordering::SeqCst), 1);
    assert!(TcpStream::connect(&web.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_does_not_keep_the_server_from_stopping() {
    let web = Running::start(None, true).await;
    let half = "POST /resync HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{";
    let _under_way = web.raw(half).await;
    web.stop.cancel();
    let began = Instant::now();
    web.server.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_setting() {
    let taken = bind(0).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = bind(port).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on port {port} (APPLICATION__PORT): something else listens there already"
        )
    );
    assert!(error.hint().unwrap().contains("APPLICATION__PORT"));
    // Reached by IPv4, whatever the machine has beside it.
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_after_a_while_however_busy_it_is() {
    let web = Running::start(None, false).await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(&web.address).await.unwrap();
    let mut answer = [0; 4096];
    loop {
        let asked = stream
            .write_all(b"GET /health/live HTTP/1.1\r\nhost: h\r\n\r\n")
            .await;
        if asked.is_err() || !matches!(stream.read(&mut answer).await, Ok(1..)) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(began.elapsed() < Duration::from_mins(3));
    }
    assert!(began.elapsed() > Duration::from_mins(1));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let web = Running::start(None, false).await;
    let long = "x".repeat(200 * 1024);
    let answer = web.get("/health/live").header("x-long", long).send().await;
    // The connection may be gone before the client has sent it all.
    assert!(answer.is_err() || answer.unwrap().status() == 431);
    assert_eq!(web.status("/health/live").await, 200);
}
