//! Files, variables and sections: which of them wins, for any of them.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};

use super::*;
use crate::settings::variables::{Variables, collect};

/// A directory with these files, and PagerDuty's minimum in the environment.
fn with_files(files: &[(&str, &str)], more: &[(&str, &str)]) -> (tempfile::TempDir, Inputs) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let mut inputs = inputs(PORT, more);
    inputs.directory = directory.path().to_owned();
    (directory, inputs)
}

#[test]
fn the_environment_wins_over_dotenv_and_dotenv_over_the_config_file() {
    let (_directory, inputs) = with_files(
        &[
            (
                "config.yaml",
                "clientTimeout: 1\nscheduledResyncInterval: 1\nsendRawDataExamples: false\n\
                 integration:\n  identifier: 123\n  type: pagerduty\n  config:\n    \
                 token: \"{{ from env TOKEN_OF_PAGERDUTY }}\"\n    \
                 apiUrl: \"{{ from env MISSING }}\"\n\
                 eventListener:\n  type: ONCE\n",
            ),
            (
                ".env",
                "OCEAN__CLIENT_TIMEOUT=2\nOCEAN__SCHEDULED_RESYNC_INTERVAL=2\n",
            ),
        ],
        &[
            ("ocean__client_timeout", "3"),
            ("TOKEN_OF_PAGERDUTY", "from the environment"),
        ],
    );

    let Loaded { settings, warnings } = load(inputs).unwrap();

    assert_eq!(settings.outbound.client_timeout, Duration::from_secs(3));
    let catalog = settings.catalog.unwrap();
    assert_eq!(
        catalog.scheduled_resync_interval,
        Some(Duration::from_mins(2))
    );
    assert!(!catalog.send_raw_data_examples);
    assert_eq!(catalog.integration.identifier, "123");
    assert_eq!(catalog.event_listener, EventListener::Once);
    assert_eq!(
        catalog.sources.pagerduty[0].api_url.as_str(),
        "https://api.pagerduty.com/"
    );
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn problems_and_warnings_name_the_file_they_are_about() {
    let (_directory, inputs) = with_files(
        &[
            (
                "config.yaml",
                "clientTimeout: soon\neventListener: POLLING\nport:\n  clientSecrets: x\n\
                 integration:\n  config:\n    statuspageIds: {a: 1}\n    token: x\n",
            ),
            (".env", "OCEAN__SEND_RAW_DATA_EXAMPLES=maybe\n"),
        ],
        &[],
    );
    insta::assert_snapshot!(load(inputs).unwrap_err(), @r#"
    The settings have 4 problems:

    eventListener in config.yaml
      expected  a JSON object such as {"type":"POLLING"}
      found     `POLLING`
      hint      it is not JSON: expected value at line 1 column 1; a single setting is written OCEAN__EVENT_LISTENER__TYPE=…

    integration.config.statuspageIds in config.yaml
      expected  a JSON array of texts
      found     `{"a":1}`

    OCEAN__SEND_RAW_DATA_EXAMPLES in .env
      expected  true, false, 1, 0, yes, no, on or off
      found     `maybe`

    clientTimeout in config.yaml
      expected  a whole number of seconds from 1 to 86400
      found     `soon`

    Worth a look, too:

      `port.clientSecrets in config.yaml` is not a setting and has no effect; did you mean `OCEAN__PORT__CLIENT_SECRET`?
    "#);

    let (_directory, inputs) = with_files(
        &[
            (
                "config.yaml",
                "clientTimeouts: 3\nintegration: {config: {token: x, tokens: {a: 1}}}\n",
            ),
            (".env", "OCEAN__BASE_URI=https://x\nwhat is this\n"),
        ],
        &[],
    );
    insta::assert_snapshot!(load(inputs).unwrap().warnings.join("\n"), @r"
    line 2 of .env is no `NAME=value` and is ignored
    `OCEAN__BASE_URI in .env` is not a setting and has no effect; did you mean `OCEAN__BASE_URL`?
    `clientTimeouts in config.yaml` is not a setting and has no effect; did you mean `OCEAN__CLIENT_TIMEOUT`?
    `integration.config.tokens.a in config.yaml` is not a setting and has no effect
    ");
}

/// Variables that are read from a section, and values for them.
fn section_settings() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let names = select(vec![
        "OCEAN__EVENT_LISTENER__TYPE",
        "OCEAN__EVENT_LISTENER__INTERVAL",
        "OCEAN__INTEGRATION__IDENTIFIER",
        "OCEAN__INTEGRATION__CONFIG__TOKEN",
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS",
        "OCEAN__SSL__PORT__X509__STRICT",
        "OCEAN__LIVE_EVENTS__REDIS__URL",
    ]);
    btree_map(
        names,
        "[ -~]{1,12}".prop_filter("not empty", |text| !text.trim().is_empty()),
        0..7,
    )
}

/// The same settings as nested objects, by the name of the outermost section.
fn nested(settings: &BTreeMap<&str, String>, lower_case: bool) -> BTreeMap<String, Value> {
    let mut root = Map::new();
    for (name, value) in settings {
        let mut segments: Vec<String> = name
            .split("__")
            .skip(1)
            .map(|segment| {
                if lower_case {
                    segment.to_lowercase()
                } else {
                    segment.to_owned()
                }
            })
            .collect();
        let last = segments.pop().unwrap();
        let mut object = &mut root;
        for segment in segments {
            let inner = object
                .entry(segment)
                .or_insert_with(|| Value::Object(Map::new()));
            object = inner.as_object_mut().unwrap();
        }
        object.insert(last, Value::String(value.clone()));
    }
    root.into_iter()
        .map(|(key, value)| (format!("OCEAN__{}", key.to_uppercase()), value))
        .collect()
}

fn collected(environment: impl IntoIterator<Item = (String, String)>) -> Variables {
    let environment = environment
        .into_iter()
        .map(|(name, value)| (name, OsString::from(value)))
        .collect();
    let directory = PathBuf::from("/nonexistent/portolan");
    collect(&Inputs {
        environment,
        directory,
        overrides: Overrides::default(),
    })
    .variables
}

/// Names and values, without where they were written.
fn values(variables: &Variables) -> BTreeMap<String, Value> {
    variables
        .iter()
        .map(|(name, found)| (name.to_owned(), found.value.clone()))
        .collect()
}

fn owned(settings: &BTreeMap<&str, String>) -> Vec<(String, String)> {
    settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

proptest! {
    #[test]
    fn no_environment_makes_loading_panic(
        environment in btree_map(
            prop_oneof![
                "(OCEAN|ocean|APPLICATION)(__[A-Za-z_]{0,8}){0,4}",
                select(table()).prop_map(|row| row.variable.to_string()),
                select(vec![
                    "OCEAN__EVENT_LISTENER", "OCEAN__INTEGRATION", "OCEAN__INTEGRATION__CONFIG",
                    "OCEAN__PORT", "HTTP_PROXY", "SSL_CERT_DIR", "STATUSPAGE_PAGE",
                    "STATUSPAGE_KEY", "PD_ACCOUNT_A", "PD_ACCOUNT_a", "PD_ACCOUNT_",
                ]).prop_map(str::to_owned),
            ],
            prop_oneof![
                "(?s).{0,24}",
                "[0-9]{1,30}",
                r#"\{"(config|type|token|a__b|)":("x"|1|null|\[\]|\{"token":\[1\]\})\}"#,
                r#"\[\{"name":"(a|b)?","(token|api_key)":("x"|1|null)\}?\]"#,
            ],
            0..12,
        ),
        files in vec(("(\\.env|config\\.yaml)", "(?s).{0,60}"), 0..2),
    ) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let environment = environment
            .into_iter()
            .map(|(name, value)| (name, OsString::from(value)))
            .collect();
        let inputs = Inputs {
            environment,
            directory: directory.path().to_owned(),
            overrides: Overrides::default(),
        };
        // Problems exist exactly where there are no settings.
        if let Err(problems) = load(inputs) {
            prop_assert!(problems.iter().next().is_some());
        }
    }

    #[test]
    fn nested_and_single_settings_are_the_same(settings in section_settings(), lower in any::<bool>()) {
        let single = collected(owned(&settings));
        let sections = nested(&settings, lower)
            .into_iter()
            .map(|(name, value)| (name, value.to_string()));

        prop_assert_eq!(values(&collected(sections)), values(&single));
    }

    #[test]
    fn a_single_setting_always_wins_over_a_section(
        settings in section_settings(),
        winners in section_settings(),
    ) {
        let sections = nested(&settings, true)
            .into_iter()
            .map(|(name, value)| (name, value.to_string()));
        let both = values(&collected(sections.chain(owned(&winners))));

        for (name, value) in &winners {
            prop_assert_eq!(both.get(*name), Some(&Value::String(value.clone())));
        }
    }

    #[test]
    fn the_case_of_names_changes_nothing(settings in section_settings()) {
        let lower = owned(&settings).into_iter().map(|(name, value)| (name.to_lowercase(), value));

        prop_assert_eq!(values(&collected(lower)), values(&collected(owned(&settings))));
    }
}
