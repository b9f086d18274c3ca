//! Settings as people give them to the binary: what they mean, and what it says
//! of those that cannot be meant.

use portolan::sandbox::{Answer, Matcher, Sandbox};
use portolan::settings::SourceName;
use serde_json::json;

use crate::program::{portolan, portolan_in, small_sandbox, with, without};

const TOKEN: &str = "OCEAN__INTEGRATION__CONFIG__TOKEN";
const CHOSEN_TYPE: &str = "OCEAN__INTEGRATION__TYPE";

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn pagerduty(sandbox: &Sandbox) -> Vec<(String, String)> {
    sandbox.environment_for(SourceName::Pagerduty)
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_and_no_secret_with_it() {
    let environment = pairs(&[
        ("OCEAN__PORT__CLIENTID", "client-id-in-the-wrong-place"),
        ("OCEAN__PORT__CLIENT_SECRET", ""),
        ("OCEAN__PORT__BASE_URL", "https://me:hunter22@api.example"),
        ("OCEAN__EVENT_LISTENER", "{'type': 'ONCE'}"),
        ("OCEAN__CLIENT_TIMEOUT", "1m"),
        ("OCEAN__INTEGRATION__TYPE", "pager-duty"),
        ("OCEAN__INTEGRATION__CONFIG__API_URL", "s3cr3t-t0ken"),
        ("OCEAN__INTEGRATION__CONFIG__TOKEN", "s3cr3t-t0ken"),
        ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS", "a,b"),
        ("APPLICATION__LOG_LEVEL", "warn"),
        ("HTTPS_PROXY", "proxy.example:port"),
    ]);

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    assert_eq!(outcome.stdout, "");
    for secret in ["s3cr3t", "hunter22", "client-id-in"] {
        assert!(!outcome.stderr.contains(secret), "{}", outcome.stderr);
    }
    insta::assert_snapshot!(outcome.stderr, @r#"
        The settings have 10 problems:

        OCEAN__EVENT_LISTENER
          expected  a JSON object such as {"type":"POLLING"}
          found     `{'type': 'ONCE'}`
          hint      it is not JSON: key must be a string at line 1 column 2; a single setting is written OCEAN__EVENT_LISTENER__TYPE=…

        OCEAN__PORT__BASE_URL
          expected  an http or https URL with a host and without user name, password, query and fragment
          found     `https://…@api.example`

        OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS
          expected  a JSON array of texts
          found     `a,b`
          hint      write it as OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS='["a","b"]'

        OCEAN__INTEGRATION__CONFIG__API_URL
          expected  an http or https URL with a host and without user name, password, query and fragment
          found     (a value of 12 characters)

        OCEAN__CLIENT_TIMEOUT
          expected  a whole number of seconds from 1 to 86400
          found     `1m`

        APPLICATION__LOG_LEVEL
          expected  ERROR, WARNING, INFO, DEBUG or CRITICAL
          found     `warn`
          hint      write WARNING

        OCEAN__PORT__CLIENT_ID
          expected  a text
          found     nothing
          hint      in Port, open the `...` menu at the top right and choose Credentials

        OCEAN__PORT__CLIENT_SECRET
          expected  a text
          found     an empty value
          hint      Port shows it beside the client id

        OCEAN__INTEGRATION__TYPE
          expected  opsgenie, pagerduty, statuspage, or portolan for several sources
          found     `pager-duty`
          hint      write pagerduty

        HTTPS_PROXY
          expected  the URL of a proxy: http, https or socks5, a host and a port
          found     `proxy.example:port`

        Worth a look, too:

          `OCEAN__PORT__CLIENTID` is not a setting and has no effect; did you mean `OCEAN__PORT__CLIENT_ID`?
        "#);
}

#[tokio::test]
async fn mistakes_in_files_are_told_with_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "config.yaml",
        "scheduledResyncInterval: daily\nintegration:\n  type: statuspage\n  config:\n    \
         statuspageApiKey: \"{{ from env KEY }}\"\n    statuspageHost: \"{{ from vault HOST }}\"\n",
    );
    write(".env", "OCEAN__PORT__CLIENT_ID=id\nOCEAN__RUNTIME=Cloud\n");
    let environment = pairs(&[("OCEAN__PORT__CLIENT_SECRET", "s3cr3t-secret")]);

    let outcome = portolan_in(directory.path(), &["run", "--once"], &environment)
        .await
        .expect_code(2);

    insta::assert_snapshot!(outcome.stderr, @"
        The settings have 4 problems:

        integration.config.statuspageHost in config.yaml
          expected  {{ from env NAME }}, or the value itself
          found     the provider `vault`

        scheduledResyncInterval in config.yaml
          expected  a whole number of minutes from 0 to 525600
          found     `daily`

        OCEAN__RUNTIME in .env
          expected  OnPrem or Saas
          found     `Cloud`

        OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY
          expected  a text
          found     nothing
          hint      create an API key in Statuspage under your avatar > API info

        Worth a look, too:

          `integration.config.statuspageApiKey in config.yaml` counts as absent: the variable `KEY` is not set
        ");
}

#[tokio::test]
async fn settings_may_come_from_all_places_together() {
    let sandbox = small_sandbox().await;
    let environment = pagerduty(&sandbox);
    let value = |name: &str| {
        &environment
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
    };
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write(
        "config.yaml",
        &format!(
            "port:\n  baseUrl: {}/\nintegration:\n  type: PagerDuty\n  identifier: overridden\n  \
             config:\n    token: \"{{{{ from env VENDOR_TOKEN }}}}\"\n    apiUrl: http://overridden\n\
             eventListener:\n  type: POLLING\n",
            value("OCEAN__PORT__BASE_URL")
        ),
    );
    write(
        ".env",
        &format!(
            "export VENDOR_TOKEN='{}' # of the vendor\nOCEAN__INTEGRATION__IDENTIFIER=from-dotenv\n\
             OCEAN__CLIENT_TIMEOUT=soon\n",
            value(TOKEN)
        ),
    );
    let environment = pairs(&[
        ("ocean__port__client_id", value("OCEAN__PORT__CLIENT_ID")),
        (
            "OCEAN__PORT",
            &format!(
                r#"{{"client_secret":"{}","client_id":"overridden"}}"#,
                value("OCEAN__PORT__CLIENT_SECRET")
            ),
        ),
        (
            "OCEAN__INTEGRATION__CONFIG",
            &format!(
                r#"{{"api_url":"{}"}}"#,
                value("OCEAN__INTEGRATION__CONFIG__API_URL")
            ),
        ),
        ("OCEAN__EVENT_LISTENER", r#"{"type":"ONCE"}"#),
        ("Ocean__Client_Timeout", "30"),
    ]);

    portolan_in(directory.path(), &["run"], &environment)
        .await
        .expect_code(0);

    let integration = sandbox.port.integration().unwrap();
    assert_eq!(integration["installationId"], "from-dotenv");
    assert_eq!(integration["installationAppType"], "pagerduty");
}

#[tokio::test]
async fn a_type_left_empty_by_the_image_follows_from_the_credentials() {
    let sandbox = small_sandbox().await;
    let environment = with(pagerduty(&sandbox), CHOSEN_TYPE, "");

    portolan(&["run"], &environment).await.expect_code(0);

    let integration = sandbox.port.integration().unwrap();
    assert_eq!(integration["installationAppType"], "pagerduty");
}

#[tokio::test]
async fn everything_that_the_chart_sets_is_accepted() {
    let sandbox = small_sandbox().await;
    let mut environment = without(pagerduty(&sandbox), "OCEAN__EVENT_LISTENER__TYPE");
    environment.extend(pairs(&[
        ("OCEAN__EVENT_LISTENER", r#"{"type":"ONCE"}"#),
        ("OCEAN__INITIALIZE_PORT_RESOURCES", "true"),
        ("OCEAN__CREATE_PORT_RESOURCES_ORIGIN", "Ocean"),
        ("OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS", "true"),
        ("OCEAN__SCHEDULED_RESYNC_INTERVAL", "1440"),
        ("OCEAN__CLIENT_TIMEOUT", "60"),
        ("OCEAN__SEND_RAW_DATA_EXAMPLES", "true"),
        ("OCEAN__PROCESS_EXECUTION_MODE", "multi_process"),
        ("PROMETHEUS_MULTIPROC_DIR", "/tmp/ocean/prometheus/metrics"),
        ("OCEAN__LAKEHOUSE_ENABLED", "true"),
        ("OCEAN__PROCESSING_MODE", "dsp"),
        ("OCEAN__STREAMING__ENABLED", "false"),
        ("OCEAN__ACTIONS_PROCESSOR__ENABLED", "false"),
        ("OCEAN__ACTIONS_PROCESSOR__WORKERS_COUNT", "3"),
        ("OCEAN__BASE_URL", "https://ocean.example.com"),
        ("APPLICATION__LOG_LEVEL", "INFO"),
    ]));

    let outcome = portolan(&["run"], &environment).await.expect_code(0);

    insta::assert_snapshot!(outcome.logged("WARNING").join("\n"), @"
        `OCEAN__PROCESS_EXECUTION_MODE` is ignored: everything runs in one process
        accepted, but without effect here: `OCEAN__ACTIONS_PROCESSOR__WORKERS_COUNT`, `OCEAN__LAKEHOUSE_ENABLED`, `OCEAN__PROCESSING_MODE`, `OCEAN__STREAMING__ENABLED`
        ");
}

#[tokio::test]
async fn certificates_of_ones_own_do_not_keep_it_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().to_str().unwrap();
    // The image has the first, with nothing in it unless somebody mounts it.
    for (name, value) in [("SSL_CERT_DIR", empty), ("SSL_CERT_FILE", "")] {
        let sandbox = small_sandbox().await;
        let environment = with(pagerduty(&sandbox), name, value);

        portolan(&["run"], &environment).await.expect_code(0);
    }

    let sandbox = small_sandbox().await;
    let environment = with(pagerduty(&sandbox), "SSL_CERT_FILE", "/nowhere/ca.pem");
    let outcome = portolan(&["run"], &environment).await.expect_code(2);
    insta::assert_snapshot!(outcome.logged("ERROR").join("\n"), @"Cannot start: cannot read the certificate authorities in /nowhere/ca.pem: No such file or directory (os error 2). Hint: check SSL_CERT_FILE, SSL_CERT_DIR and REQUESTS_CA_BUNDLE");
}

#[tokio::test]
async fn a_folder_of_resources_that_is_not_there_sets_nothing_up() {
    let sandbox = small_sandbox().await;
    let environment = with(pagerduty(&sandbox), "OCEAN__RESOURCES_PATH", "/nowhere");

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    assert!(sandbox.port.integration().is_none());
    insta::assert_snapshot!(outcome.logged("ERROR").join("\n"), @"Cannot start: there is no folder /nowhere with default blueprints and mapping. Hint: correct OCEAN__RESOURCES_PATH, or leave it out for the defaults that come with the program");
}

#[tokio::test]
async fn the_applications_variables_win_over_the_command_line() {
    let sandbox = small_sandbox().await;
    let environment = with(pagerduty(&sandbox), "APPLICATION__LOG_LEVEL", "ERROR");

    let outcome = portolan(&["run", "--log-level", "DEBUG"], &environment)
        .await
        .expect_code(0);

    assert_eq!(outcome.stderr, "");
}

#[tokio::test]
async fn every_line_is_json_and_shows_no_secret_even_at_debug() {
    let sandbox = small_sandbox().await;
    let environment = sandbox.environment();

    let outcome = portolan(&["run", "-l", "debug"], &environment)
        .await
        .expect_code(0);

    assert!(!outcome.logged("DEBUG").is_empty());
    assert_eq!(outcome.lines().count(), outcome.stderr.lines().count());
    for (name, value) in &environment {
        let is_secret = ["CLIENT_ID", "SECRET", "KEY", "TOKEN"]
            .iter()
            .any(|word| name.ends_with(word));
        assert!(!is_secret || !outcome.stderr.contains(value), "{name}");
    }
}

#[tokio::test]
async fn what_no_proxy_names_is_reached_past_the_proxy() {
    for no_proxy in ["*", "127.0.0.1", "localhost,127.0.0.0/8"] {
        let sandbox = small_sandbox().await;
        // Nobody listens there any more.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let environment = with(pagerduty(&sandbox), "HTTP_PROXY", &proxy);
        let environment = with(environment, "no_proxy", no_proxy);

        portolan(&["run"], &environment).await.expect_code(0);
    }
}

#[tokio::test]
async fn a_token_may_come_from_a_file_and_a_file_without_one_is_a_wrong_setting() {
    let sandbox = small_sandbox().await;
    let environment = pagerduty(&sandbox);
    let token = &environment
        .iter()
        .find(|(name, _)| name == TOKEN)
        .unwrap()
        .1;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("oauth_token");
    let path = file.to_str().unwrap();
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let environment = with(
        without(environment.clone(), TOKEN),
        "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH",
        path,
    );

    portolan(&["run"], &environment).await.expect_code(0);

    std::fs::write(&file, "\n").unwrap();
    let outcome = portolan(&["run"], &environment).await.expect_code(2);
    insta::assert_snapshot!(outcome.logged("ERROR").join("\n").replace(path, "‹file›"), @"Cannot work with PagerDuty: the access token in ‹file› is empty. Hint: check OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH and what writes that file");
}

#[tokio::test]
async fn a_token_that_came_from_a_file_is_masked_like_a_setting() {
    let sandbox = small_sandbox().await;
    let environment = pagerduty(&sandbox);
    let token = &environment
        .iter()
        .find(|(name, _)| name == TOKEN)
        .unwrap()
        .1;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("oauth_token");
    std::fs::write(&file, token).unwrap();
    // Port repeats it, as it repeats whatever is in an entity.
    let refusal = json!({"index": 0, "identifier": "x", "statusCode": 422, "error": "invalid_request", "message": format!("bad value {token}")});
    sandbox.port.fault(
        Matcher::post("/v1/blueprints/*/entities/bulk"),
        Answer::json(
            207,
            &json!({"ok": true, "entities": [], "errors": [refusal]}),
        ),
        1,
    );
    let environment = with(
        without(environment.clone(), TOKEN),
        "OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH",
        file.to_str().unwrap(),
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(3);

    assert!(
        outcome.stderr.contains("bad value [REDACTED]"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains(token.as_str()));
}

#[tokio::test]
async fn of_several_accounts_the_one_that_is_refused_is_named() {
    let sandbox = small_sandbox().await;
    let environment = pagerduty(&sandbox);
    let value = |name: &str| {
        &environment
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
    };
    let url = value("OCEAN__INTEGRATION__CONFIG__API_URL");
    let accounts = format!(
        r#"[{{"name":"us","token":"{}","api_url":"{url}"}},{{"name":"eu","token":"not-the-right-one","api_url":"{url}"}}]"#,
        value(TOKEN)
    );
    let environment = with(
        without(environment.clone(), TOKEN),
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS",
        &accounts,
    );

    let outcome = portolan(&["run"], &environment).await.expect_code(2);

    let errors = outcome.logged("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("Cannot work with PagerDuty (account `eu`): "),
        "{errors:?}"
    );
}
