//! What people read when something is wrong.

use super::*;

#[test]
fn missing_credentials_are_all_told_at_once() {
    insta::assert_snapshot!(problems(&[], &[("OCEAN__PORT__CLIENT_ID", " ")]), @"
        The settings have 3 problems:

        OCEAN__PORT__CLIENT_ID
          expected  a text
          found     an empty value
          hint      in Port, open the `...` menu at the top right and choose Credentials

        OCEAN__PORT__CLIENT_SECRET
          expected  a text
          found     nothing
          hint      Port shows it beside the client id

        OCEAN__INTEGRATION__CONFIG__…
          expected  the credentials of at least one source
          found     nothing
          hint      set OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY for Statuspage, OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN for PagerDuty, OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN for Opsgenie, or several of them
        ");
}

#[test]
fn values_that_do_not_fit_are_told_with_what_would() {
    insta::assert_snapshot!(
        problems(
            PAGERDUTY,
            &[
                ("ocean__client_timeout", "soon"),
                ("OCEAN__PORT__BASE_URL", "https://me:hunter2@api.example"),
                ("OCEAN__SEND_RAW_DATA_EXAMPLES", "maybe"),
                ("OCEAN__MAX_EVENT_PROCESSING_SECONDS", "-1"),
                ("OCEAN__INTEGRATION__INCREMENTAL_SYNC_INTERVAL", "20m"),
                ("OCEAN__CREATE_PORT_RESOURCES_ORIGIN", "Prot"),
                ("APPLICATION__LOG_LEVEL", "WARN"),
                ("APPLICATION__PORT", "99999"),
                ("OCEAN__STREAMING__CHUNK_SIZE", "0"),
            ]
        ),
        @r"
    The settings have 9 problems:

    OCEAN__PORT__BASE_URL
      expected  an http or https URL with a host and without user name, password, query and fragment
      found     `https://…@api.example`

    OCEAN__CREATE_PORT_RESOURCES_ORIGIN
      expected  Empty, Ocean, Default or Port
      found     `Prot`
      hint      write Port

    OCEAN__INTEGRATION__INCREMENTAL_SYNC_INTERVAL
      expected  15, 30 or 60 minutes, written 15, 15m, 1h …
      found     `20m`

    OCEAN__SEND_RAW_DATA_EXAMPLES
      expected  true, false, 1, 0, yes, no, on or off
      found     `maybe`

    ocean__client_timeout
      expected  a whole number of seconds from 1 to 86400
      found     `soon`

    OCEAN__MAX_EVENT_PROCESSING_SECONDS
      expected  a number of seconds, 0 or more
      found     `-1`

    APPLICATION__LOG_LEVEL
      expected  ERROR, WARNING, INFO, DEBUG or CRITICAL
      found     `WARN`
      hint      write WARNING

    APPLICATION__PORT
      expected  a whole number from 1 to 65535
      found     `99999`

    OCEAN__STREAMING__CHUNK_SIZE
      expected  a whole number of bytes from 1 to 4294967295
      found     `0`
    "
    );
}

#[test]
fn a_comma_list_is_shown_as_the_json_it_must_be() {
    insta::assert_snapshot!(
        problems(PAGERDUTY, &[("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS", "abc, def")]),
        @r#"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS
      expected  a JSON array of texts
      found     `abc, def`
      hint      write it as OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS='["abc","def"]'
    "#
    );
}

#[test]
fn a_misspelt_name_is_told_beside_what_is_missing_because_of_it() {
    insta::assert_snapshot!(
        problems(
            &PAGERDUTY[1..],
            &[
                ("OCEAN__PORT__CLIENTID", "x"),
                ("OCEAN__SEND_RAW_DATA_EXAMPLES", "true"),
            ]
        ),
        @"
        The settings have a problem:

        OCEAN__PORT__CLIENT_ID
          expected  a text
          found     nothing
          hint      in Port, open the `...` menu at the top right and choose Credentials

        Worth a look, too:

          `OCEAN__PORT__CLIENTID` is not a setting and has no effect; did you mean `OCEAN__PORT__CLIENT_ID`?
        "
    );
}

#[test]
fn event_listeners_that_cannot_be_meant_are_told() {
    let problem = |more: &[(&str, &str)]| problems(PAGERDUTY, more);

    insta::assert_snapshot!(problem(&[("OCEAN__EVENT_LISTENER__TYPE", "polling")]), @r"
    The settings have a problem:

    OCEAN__EVENT_LISTENER__TYPE
      expected  POLLING, ONCE, WEBHOOK, KAFKA, WEBHOOKS_ONLY or ACTIONS_ONLY
      found     `polling`
      hint      write POLLING
    ");
    insta::assert_snapshot!(problem(&[("OCEAN__EVENT_LISTENER", r#"{"type":"CRON"}"#)]), @r"
    The settings have a problem:

    OCEAN__EVENT_LISTENER (type)
      expected  POLLING, ONCE, WEBHOOK, KAFKA, WEBHOOKS_ONLY or ACTIONS_ONLY
      found     `CRON`
    ");
    insta::assert_snapshot!(problem(&[("OCEAN__EVENT_LISTENER__INTERVAL", "30")]), @r"
    The settings have a problem:

    OCEAN__EVENT_LISTENER__TYPE
      expected  the type that the options belong to: POLLING, ONCE, WEBHOOK, KAFKA, WEBHOOKS_ONLY or ACTIONS_ONLY
      found     nothing
      hint      `OCEAN__EVENT_LISTENER__INTERVAL` is set: an option needs the type beside it
    ");
    insta::assert_snapshot!(problem(&[("OCEAN__EVENT_LISTENER", "POLLING")]), @r#"
    The settings have a problem:

    OCEAN__EVENT_LISTENER
      expected  a JSON object such as {"type":"POLLING"}
      found     `POLLING`
      hint      it is not JSON: expected value at line 1 column 1; a single setting is written OCEAN__EVENT_LISTENER__TYPE=…
    "#);
    insta::assert_snapshot!(
        problem(&[("OCEAN__EVENT_LISTENER", r#"{"type":"WEBHOOK","appHost":"https://x"}"#)]),
        @r"
    The settings have a problem:

    OCEAN__EVENT_LISTENER__APP_HOST
      expected  the http or https URL at which Port reaches this service
      found     nothing
      hint      the WEBHOOK event listener needs it; in JSON the key is written `app_host`

    Worth a look, too:

      `OCEAN__EVENT_LISTENER (appHost)` is not a setting and has no effect; did you mean `OCEAN__EVENT_LISTENER__APP_HOST`?
    "
    );
}

#[test]
fn a_section_that_is_no_json_object_is_told_without_its_secrets() {
    insta::assert_snapshot!(
        problems(
            PAGERDUTY,
            &[
                ("OCEAN__INTEGRATION__CONFIG", r#"{"token": hunter2}"#),
                ("OCEAN__PORT", r#"["hunter2"]"#),
                ("OCEAN__SSL", r#"{"port": false}"#),
            ]
        ),
        @r"
    The settings have 3 problems:

    OCEAN__INTEGRATION__CONFIG
      expected  a JSON object with lower-case keys
      found     (a value of 18 characters)
      hint      it is not JSON: expected value at line 1 column 11; a single setting is written OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY=…

    OCEAN__PORT
      expected  a JSON object with lower-case keys
      found     (a value of 11 characters)
      hint      a single setting is written OCEAN__PORT__CLIENT_ID=…

    OCEAN__SSL (port)
      expected  a JSON object with lower-case keys
      found     `false`
      hint      a single setting is written OCEAN__SSL__PORT__VERIFY=…
    "
    );
}

#[test]
fn a_value_within_a_section_is_named_with_its_section() {
    insta::assert_snapshot!(
        problems(
            PAGERDUTY,
            &[
                ("OCEAN__EVENT_LISTENER", r#"{"type":"POLLING","interval":{"seconds":5}}"#),
                ("OCEAN__INTEGRATION", r#"{"config":{"api_url":"nowhere","token":["hunter2"]}}"#),
            ]
        ),
        @r#"
    The settings have 2 problems:

    OCEAN__INTEGRATION (config.api_url)
      expected  an http or https URL with a host and without user name, password, query and fragment
      found     (a value of 7 characters)

    OCEAN__EVENT_LISTENER (interval)
      expected  a whole number of seconds from 1 to 86400
      found     `{"seconds":5}`
    "#
    );
}

#[test]
fn an_actions_processor_is_refused() {
    insta::assert_snapshot!(
        problems(PAGERDUTY, &[("OCEAN__ACTIONS_PROCESSOR__ENABLED", "yes")]),
        @r"
    The settings have a problem:

    OCEAN__ACTIONS_PROCESSOR__ENABLED
      expected  false: these integrations have no actions to process
      found     `true`
    "
    );
}

#[test]
fn a_proxy_that_is_none_is_told_without_its_password() {
    insta::assert_snapshot!(
        problems(PAGERDUTY, &[("https_proxy", "gopher://me:hunter2@proxy")]),
        @r"
    The settings have a problem:

    https_proxy
      expected  the URL of a proxy: http, https or socks5, a host and a port
      found     `gopher://…@proxy`
    "
    );
}

#[cfg(unix)]
#[test]
fn a_setting_that_is_no_text_is_told() {
    use std::os::unix::ffi::OsStringExt;

    let mut inputs = inputs(PAGERDUTY, &[]);
    let bytes = OsString::from_vec(vec![0xff]);
    inputs
        .environment
        .insert("OCEAN__CLIENT_TIMEOUT".to_owned(), bytes.clone());
    inputs
        .environment
        .insert("SOMETHING_ELSE".to_owned(), bytes);

    insta::assert_snapshot!(load(inputs).unwrap_err(), @r"
    The settings have a problem:

    OCEAN__CLIENT_TIMEOUT
      expected  a text in UTF-8
      found     bytes that are none
    ");
}
