//! What must never be seen, and what a mapping may see.

use secrecy::ExposeSecret;

use super::*;

const SECRETS: &[(&str, &str)] = &[
    ("OCEAN__PORT__CLIENT_ID", "secret-1"),
    ("OCEAN__PORT__CLIENT_SECRET", "secret-2"),
    ("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN", "secret-3"),
    (
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS",
        r#"[{"name":"a","api_key":"secret-4"}]"#,
    ),
    (
        "OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED",
        "true",
    ),
    ("OCEAN__LIVE_EVENTS__REDIS__URL", "redis://:secret-5@redis"),
    ("OCEAN__LIVE_EVENTS__REDIS__PASSWORD", "secret-6"),
    ("OCEAN__LIVE_EVENTS__REDIS__CERT", "/tls/client.crt"),
    ("OCEAN__LIVE_EVENTS__REDIS__PRIVATE_KEY", "secret-7"),
    ("HTTPS_PROXY", "http://me:secret-8@proxy:1"),
    (
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_WEBHOOK_SECRETS",
        r#"["secret-9","secret-10"]"#,
    ),
];

#[test]
fn debug_shows_no_secret() {
    let loaded = load(inputs(SECRETS, &[])).unwrap();

    let debug = format!("{loaded:#?}");
    assert!(
        debug.contains("PortSettings") && !debug.contains("secret-"),
        "{debug}"
    );
}

#[test]
fn every_secret_is_handed_to_the_log() {
    let settings = load(inputs(SECRETS, &[])).unwrap().settings;

    let masked: Vec<_> = settings
        .secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(
        masked,
        [
            r#"["secret-9","secret-10"]"#,
            "redis://:secret-5@redis",
            "secret-1",
            "secret-10",
            "secret-2",
            "secret-3",
            "secret-4",
            "secret-5",
            "secret-6",
            "secret-7",
            "secret-8",
            "secret-9",
        ]
    );
}

#[test]
fn no_secret_is_shown_whatever_is_wrong_with_it() {
    for secret in table().iter().filter(|row| row.sensitive) {
        for value in [
            "hidden-value",
            r#"["hidden-value"]"#,
            "{hidden-value",
            "a\nhidden-value",
        ] {
            let told = match load(inputs(&[], &[(&secret.variable, value)])) {
                Ok(loaded) => format!("{:?}", loaded.warnings),
                Err(problems) => problems.to_string(),
            };
            assert!(!told.contains("hidden-value"), "{told}");
        }
    }
}

#[test]
fn a_secret_copied_into_every_other_setting_is_not_shown_either() {
    let mut environment: Vec<(&str, &str)> = table()
        .iter()
        .filter(|row| !row.sensitive)
        .map(|row| (row.variable.as_ref(), "hidden-value"))
        .collect();
    environment.push(("OCEAN__PORT__CLIENT_SECRET", "hidden-value"));
    environment.push(("HTTP_PROXY", "hidden-value://"));

    let told = problems(&[], &environment);

    assert!(
        told.contains("(a value of 12 characters)") && !told.contains("hidden-value"),
        "{told}"
    );
}

#[test]
fn a_mapping_sees_no_variable_that_holds_a_secret() {
    let shown = catalog(&[
        ("REGION", "eu"),
        ("OCEAN__CLIENT_TIMEOUT", "60"),
        ("GITHUB_TOKEN", "x"),
        ("db_password", "x"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("COPY", "has pagerduty-token inside"),
        ("DATABASE_URL", "postgres://u:p@host/db"),
        ("OCEAN__INTEGRATION", r#"{"identifier":"x"}"#),
    ])
    .jq_environment;

    let names: Vec<_> = shown.keys().map(String::as_str).collect();
    assert_eq!(names, ["OCEAN__CLIENT_TIMEOUT", "REGION"]);
    assert_eq!(shown["REGION"], "eu");
}

#[test]
fn an_allow_list_narrows_what_a_mapping_sees() {
    let more = &[
        ("REGION", "eu"),
        ("STAGE", "test"),
        ("GITHUB_TOKEN", "x"),
        (
            "OCEAN__JQ_ENVIRONMENT_ALLOW_LIST",
            r#"["REGION","GITHUB_TOKEN","ABSENT"]"#,
        ),
    ];

    let names: Vec<_> = catalog(more).jq_environment.into_keys().collect();
    assert_eq!(names, ["REGION"]);
    insta::assert_snapshot!(warnings(more), @"`GITHUB_TOKEN` is not shown to jq although it is on the allow-list: it holds a secret, or its name says so");
}

#[test]
fn a_mapping_sees_nothing_where_that_is_switched_off() {
    let more = &[
        ("OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS", "false"),
        ("REGION", "eu"),
    ];

    assert!(catalog(more).jq_environment.is_empty());
}
