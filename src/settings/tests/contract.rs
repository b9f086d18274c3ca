//! What the contract promises, accepted as promised.

use secrecy::ExposeSecret;

use super::*;

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = settings(&[]);
    let catalog = settings.catalog.as_ref().unwrap();

    assert_eq!(catalog.port.base_url.as_str(), "https://api.getport.io/");
    assert_eq!(catalog.integration.kind, "pagerduty");
    assert_eq!(catalog.integration.identifier, "my-pagerduty-integration");
    assert_eq!(
        catalog.event_listener,
        EventListener::Polling {
            interval: Duration::from_mins(1),
            resync_on_start: true
        }
    );
    assert!(catalog.initialize_port_resources);
    assert_eq!(catalog.create_port_resources_origin, None);
    assert_eq!(catalog.resources_path, None);
    assert_eq!(catalog.scheduled_resync_interval, None);
    assert_eq!(catalog.status_heartbeat_interval, Duration::from_secs(10));
    assert!(catalog.send_raw_data_examples);
    assert_eq!(catalog.runtime, Runtime::OnPrem);
    assert_eq!(settings.outbound.client_timeout, Duration::from_mins(1));
    assert!(settings.outbound.verify_port && settings.outbound.verify_third_party);
    assert_eq!(
        settings.rate_limits,
        RateLimits {
            statuspage_per_minute: 60,
            pagerduty_per_minute: 960,
            opsgenie_per_minute: None
        }
    );
    assert_eq!(
        catalog.upsert,
        UpsertSettings {
            batch_max_length: 20,
            batch_max_bytes: 1_048_576,
            concurrency: 8,
            deletion_batch_max_length: 100,
        }
    );
    assert_eq!(
        settings.application,
        ApplicationSettings {
            log_level: LogLevel::Info,
            port: 8000,
            enable_http_logging: true
        }
    );
    assert_eq!(
        settings.live_events.processing_timeout,
        Duration::from_secs(90)
    );
    assert!(settings.live_events.base_url.is_none() && settings.live_events.redis.is_none());
    assert!(settings.live_events.webhook_auth && !settings.live_events.debug_logging);
    assert_eq!(settings.live_events.give_up_after, Duration::from_hours(24));
}

#[test]
fn every_variable_may_be_written_in_any_case() {
    let settings = settings(&[("ocean__client_timeout", "7"), ("Application__Port", "9")]);

    assert_eq!(settings.outbound.client_timeout, Duration::from_secs(7));
    assert_eq!(settings.application.port, 9);
}

#[test]
fn one_setting_in_two_spellings_is_told() {
    insta::assert_snapshot!(
        warnings(&[("ocean__client_timeout", "7"), ("OCEAN__CLIENT_TIMEOUT", "8")]),
        @"`ocean__client_timeout` is ignored: `OCEAN__CLIENT_TIMEOUT` is the same setting and has another value"
    );
}

#[test]
fn a_single_variable_wins_over_a_section_in_json() {
    let catalog = catalog(&[
        (
            "OCEAN__EVENT_LISTENER",
            r#"{"type":"POLLING","interval":5,"resync_on_start":"no"}"#,
        ),
        ("OCEAN__EVENT_LISTENER__INTERVAL", "30"),
    ]);

    assert_eq!(
        catalog.event_listener,
        EventListener::Polling {
            interval: Duration::from_secs(30),
            resync_on_start: false
        }
    );
}

#[test]
fn an_inner_section_wins_over_an_outer_one_and_a_single_variable_over_both() {
    let loaded = load(inputs(
        PORT,
        &[
            (
                "OCEAN__INTEGRATION",
                r#"{"identifier":"outer","type":"PagerDuty","config":{"token":"outer","api_url":"https://outer"}}"#,
            ),
            ("OCEAN__INTEGRATION__CONFIG", r#"{"api_url":"https://inner","token":"inner"}"#),
            ("OCEAN__INTEGRATION__CONFIG__TOKEN", "single"),
        ],
    ))
    .unwrap();

    let CatalogSettings {
        integration,
        sources,
        ..
    } = catalog_of(loaded);
    assert_eq!(integration.identifier, "outer");
    assert_eq!(integration.kind, "pagerduty");
    assert_eq!(sources.pagerduty[0].api_url.as_str(), "https://inner/");
    let Credential::Fixed(token) = &sources.pagerduty[0].token else {
        panic!("a token")
    };
    assert_eq!(token.expose_secret(), "single");
}

#[test]
fn an_empty_optional_setting_counts_as_absent() {
    let settings = settings(&[
        ("OCEAN__PORT__BASE_URL", ""),
        ("OCEAN__EVENT_LISTENER", " "),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", ""),
        ("OCEAN__INTEGRATION__CONFIG__APP_HOST", ""),
        ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY", ""),
        ("HTTPS_PROXY", ""),
        ("SSL_CERT_FILE", ""),
    ]);
    let catalog = settings.catalog.unwrap();

    assert_eq!(catalog.port.base_url.as_str(), "https://api.getport.io/");
    assert_eq!(catalog.scheduled_resync_interval, None);
    assert_eq!(catalog.sources.names(), [SourceName::Pagerduty]);
    assert!(settings.outbound.extra_ca_files.is_empty());
}

#[test]
fn every_event_listener_is_accepted() {
    let listener = |json| catalog(&[("OCEAN__EVENT_LISTENER", json)]).event_listener;

    assert_eq!(listener(r#"{"type":"ONCE"}"#), EventListener::Once);
    assert_eq!(
        listener(r#"{"type":"WEBHOOKS_ONLY"}"#),
        EventListener::WebhooksOnly
    );
    assert_eq!(
        listener(r#"{"type":"ACTIONS_ONLY"}"#),
        EventListener::ActionsOnly
    );
    assert_eq!(
        listener(r#"{"type":"WEBHOOK","app_host":"https://me.example/"}"#),
        EventListener::Webhook {
            app_host: "https://me.example".parse().unwrap()
        }
    );
    let EventListener::Kafka(kafka) = listener(r#"{"type":"KAFKA","brokers":"a:1, b:2"}"#) else {
        panic!("a Kafka listener")
    };
    assert_eq!(kafka.brokers, ["a:1", "b:2"]);
    assert_eq!(kafka.security_protocol, "SASL_SSL");
    assert_eq!(kafka.authentication_mechanism, "SCRAM-SHA-512");
    assert!(kafka.security_enabled);
    assert_eq!(kafka.consumer_poll_timeout, Duration::from_secs(1));
    let EventListener::Kafka(kafka) = listener(r#"{"type":"KAFKA"}"#) else {
        panic!("a Kafka listener")
    };
    assert_eq!(kafka.brokers.len(), 3);
    for (number, broker) in (1..).zip(&kafka.brokers) {
        assert_eq!(
            *broker,
            format!(
                "b-{number}-public.publicclusterprod.t9rw6w.c1.kafka.eu-west-1.amazonaws.com:9196"
            )
        );
    }
}

#[test]
fn an_option_of_another_event_listener_is_left_alone_with_a_warning() {
    insta::assert_snapshot!(
        warnings(&[
            ("OCEAN__EVENT_LISTENER", r#"{"type":"ONCE","resyncOnStart":false}"#),
            ("OCEAN__EVENT_LISTENER__INTERVAL", "60"),
        ]),
        @r"
    `OCEAN__EVENT_LISTENER__INTERVAL` has no effect: the event listener ONCE has no such option
    `OCEAN__EVENT_LISTENER (resyncOnStart)` is not a setting and has no effect; did you mean `OCEAN__EVENT_LISTENER__RESYNC_ON_START`?
    "
    );
}

#[test]
fn the_base_url_falls_back_to_the_app_host() {
    let app_host = (
        "OCEAN__INTEGRATION__CONFIG__APP_HOST",
        "https://app.example",
    );

    let fallen_back = settings(&[app_host]).live_events.base_url.unwrap();
    assert_eq!(fallen_back.as_str(), "https://app.example/");
    let given = settings(&[app_host, ("OCEAN__BASE_URL", "https://base.example/x/")]);
    assert_eq!(
        given.live_events.base_url.unwrap().as_str(),
        "https://base.example/x"
    );
}

#[test]
fn more_than_port_takes_is_cut_with_a_warning() {
    let more = &[("OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH", "50")];

    assert_eq!(catalog(more).upsert.batch_max_length, 20);
    insta::assert_snapshot!(
        warnings(more),
        @"`OCEAN__UPSERT_ENTITIES_BATCH_MAX_LENGTH` is 50, but more than 20 is not possible: 20 is used"
    );
}

#[test]
fn settings_without_a_counterpart_are_accepted_and_listed_in_one_warning() {
    insta::assert_snapshot!(
        warnings(&[
            ("OCEAN__STREAMING__ENABLED", "true"),
            ("OCEAN__PROCESSING_MODE", "dsp"),
            ("OCEAN__PROCESS_EXECUTION_MODE", "multi_process"),
            ("OCEAN__ACTIONS_PROCESSOR__ENABLED", "false"),
        ]),
        @"
        `OCEAN__PROCESS_EXECUTION_MODE` is ignored: everything runs in one process
        accepted, but without effect here: `OCEAN__PROCESSING_MODE`, `OCEAN__STREAMING__ENABLED`
        "
    );
}

#[test]
fn webhooks_may_go_unauthenticated_and_be_signed_by_secrets_of_ones_own() {
    let live_events = settings(&[
        ("OCEAN__INTEGRATION__CONFIG__WEBHOOK_AUTH", "off"),
        (
            "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_WEBHOOK_SECRETS",
            r#"["one","two"]"#,
        ),
        ("OCEAN__LIVE_EVENTS__GIVE_UP_AFTER_SECONDS", "1.5"),
        ("OCEAN__EVENT_WORKERS_COUNT", "0"),
        ("OCEAN__EVENTS_DEBUG_LOGGING", "yes"),
    ])
    .live_events;

    assert!(!live_events.webhook_auth && live_events.debug_logging);
    let secrets = live_events.pagerduty_webhook_secrets;
    let secrets: Vec<_> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["one", "two"]);
    assert_eq!(live_events.give_up_after, Duration::from_millis(1_500));
    assert_eq!(
        live_events.workers, 0,
        "which those who use it take for one"
    );
}

#[test]
fn what_this_version_does_not_act_on_is_listed_in_one_warning_unless_it_is_switched_off() {
    insta::assert_snapshot!(
        warnings(&[
            ("OCEAN__MAX_EVENT_PROCESSING_SECONDS", "90"),
            ("OCEAN__INTEGRATION", r#"{"incremental_sync_interval":"30"}"#),
            ("OCEAN__INTEGRATION__CONFIG__APP_HOST", "https://me.example"),
            ("OCEAN__EVENTS_DEBUG_LOGGING", "false"),
            ("OCEAN__SEND_RAW_DATA_EXAMPLES", "true"),
            ("OCEAN__CLIENT_TIMEOUT", "60"),
        ]),
        @"accepted, but this version does not act on it yet: `OCEAN__INTEGRATION (incremental_sync_interval)`"
    );
    assert!(warnings(&[("OCEAN__INTEGRATION__INCREMENTAL_SYNC_ENABLED", "false")]).is_empty());
}

#[test]
fn a_redis_that_is_named_is_used_unless_sharing_is_switched_off() {
    const SWITCH: &str = "OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED";
    let url = ("OCEAN__LIVE_EVENTS__REDIS__URL", "redis://x");
    let redis = |more: &[(&str, &str)]| settings(more).live_events.redis;

    assert!(redis(&[url]).is_some());
    assert!(redis(&[url, (SWITCH, "false")]).is_none());
    let by_default = redis(&[(SWITCH, "true")]).unwrap();
    assert_eq!(by_default.url.expose_secret(), "redis://localhost:6379");
}

#[test]
fn what_is_wrong_with_a_redis_is_told_without_its_url() {
    insta::assert_snapshot!(
        problems(
            PAGERDUTY,
            &[
                ("OCEAN__LIVE_EVENTS__REDIS__URL", "https://:hidden-value@x"),
                ("OCEAN__LIVE_EVENTS__REDIS__CERT", "/tls/client.crt"),
            ]
        ),
        @"
    The settings have 2 problems:

    OCEAN__LIVE_EVENTS__REDIS__URL
      expected  the URL of a Redis: redis://host:6379, rediss://host:6379 with TLS, redis+unix:///path
      found     (a value of 23 characters)

    OCEAN__LIVE_EVENTS__REDIS__PRIVATE_KEY
      expected  a text
      found     nothing
      hint      it belongs to OCEAN__LIVE_EVENTS__REDIS__CERT
    "
    );
    insta::assert_snapshot!(
        warnings(&[
            ("OCEAN__LIVE_EVENTS__REDIS__URL", "redis://x"),
            ("OCEAN__LIVE_EVENTS__REDIS__CA", "/tls/ca.crt"),
        ]),
        @"
    `OCEAN__LIVE_EVENTS__REDIS__CA` is without effect: the connection to the Redis is not encrypted; set `OCEAN__LIVE_EVENTS__REDIS__ENABLE_TLS` to true, or write rediss:// in `OCEAN__LIVE_EVENTS__REDIS__URL`
    "
    );
}

#[test]
fn unknown_settings_are_told_with_the_nearest_known_one() {
    insta::assert_snapshot!(
        warnings(&[
            ("OCEAN__CLIENT_TIMOUT", "60"),
            ("OCEAN__PORT__CLIENTID", "x"),
            ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_APIKEY", "hidden-value"),
            ("OCEAN__INTEGRATION__CONFIG__SOMETHING_ELSE", "x"),
            ("OCEAN__ZZZ", "x"),
            ("OCEAN__EVENT_LISTNER__TYPE", "ONCE"),
            ("OCEAN__EVENT_LISTNER", "{}"),
            ("OCEAN__TOKEN", "hidden-value"),
            ("OCEAN__APPLICATION__LOG_LEVEL", "DEBUG"),
            ("APPLICATION__LOGLEVEL", "DEBUG"),
            ("APPLICATION__NAME_OF_ANOTHER_PROGRAM", "x"),
            ("OCEAN____", "x"),
        ]),
        @r"
    `APPLICATION__LOGLEVEL` is not a setting and has no effect; did you mean `APPLICATION__LOG_LEVEL`?
    `OCEAN__APPLICATION__LOG_LEVEL` is not a setting and has no effect; did you mean `APPLICATION__LOG_LEVEL`?
    `OCEAN__CLIENT_TIMOUT` is not a setting and has no effect; did you mean `OCEAN__CLIENT_TIMEOUT`?
    `OCEAN__EVENT_LISTNER` is not a setting and has no effect; did you mean `OCEAN__EVENT_LISTENER`?
    `OCEAN__EVENT_LISTNER__TYPE` is not a setting and has no effect; did you mean `OCEAN__EVENT_LISTENER__TYPE`?
    `OCEAN__INTEGRATION__CONFIG__SOMETHING_ELSE` is not a setting and has no effect
    `OCEAN__INTEGRATION__CONFIG__STATUSPAGE_APIKEY` is not a setting and has no effect; did you mean `OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY`?
    `OCEAN__PORT__CLIENTID` is not a setting and has no effect; did you mean `OCEAN__PORT__CLIENT_ID`?
    `OCEAN__TOKEN` is not a setting and has no effect; did you mean `OCEAN__INTEGRATION__CONFIG__TOKEN`?
    `OCEAN__ZZZ` is not a setting and has no effect
    `OCEAN____` is not a setting and has no effect
    "
    );
}

#[test]
fn the_command_line_wins() {
    let mut inputs = inputs(
        PAGERDUTY,
        &[
            ("OCEAN__INITIALIZE_PORT_RESOURCES", "true"),
            (
                "OCEAN__EVENT_LISTENER",
                r#"{"type":"KAFKA","brokers":"a:1"}"#,
            ),
        ],
    );
    inputs.overrides = Overrides {
        log_level: Some(LogLevel::Debug),
        initialize_port_resources: Some(false),
        once: true,
        ..Overrides::default()
    };

    let Loaded { settings, warnings } = load(inputs).unwrap();

    assert_eq!(settings.application.log_level, LogLevel::Debug);
    let catalog = settings.catalog.unwrap();
    assert!(!catalog.initialize_port_resources);
    assert_eq!(catalog.event_listener, EventListener::Once);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn the_applications_variables_win_over_the_command_line() {
    let mut inputs = inputs(
        PAGERDUTY,
        &[
            ("application__log_level", "ERROR"),
            ("APPLICATION__PORT", "1"),
        ],
    );
    inputs.overrides = Overrides {
        log_level: Some(LogLevel::Debug),
        port: Some(2),
        ..Overrides::default()
    };

    let Loaded { settings, warnings } = load(inputs).unwrap();

    assert_eq!(settings.application.log_level, LogLevel::Error);
    assert_eq!(settings.application.port, 1);
    insta::assert_snapshot!(warnings.join("\n"), @r"
    `--log-level` has no effect: `application__log_level` is set and wins over it
    `--port` has no effect: `APPLICATION__PORT` is set and wins over it
    ");
}

#[test]
fn certificates_and_proxies_come_from_the_usual_variables() {
    let outbound = settings(&[
        ("SSL_CERT_FILE", "/ca.pem"),
        ("REQUESTS_CA_BUNDLE", "/bundle.pem"),
        ("SSL_CERT_DIR", "/one:/two"),
        ("HTTPS_PROXY", "proxy.example:3128"),
        ("all_proxy", "socks5h://proxy.example:1080"),
        ("NO_PROXY", "localhost,.svc"),
    ])
    .outbound;

    assert_eq!(
        outbound.extra_ca_files,
        [PathBuf::from("/ca.pem"), "/bundle.pem".into()]
    );
    assert_eq!(
        outbound.extra_ca_dirs,
        [PathBuf::from("/one"), "/two".into()]
    );
    assert_eq!(
        outbound.proxies,
        ProxySettings {
            http: None,
            https: Some("http://proxy.example:3128".to_owned()),
            all: Some("socks5h://proxy.example:1080".to_owned()),
            no_proxy: Some("localhost,.svc".to_owned()),
        }
    );
}
