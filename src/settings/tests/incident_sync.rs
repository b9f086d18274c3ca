//! The incident sync beside the catalog and without it.

use super::*;

const DOCUMENT: &str = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC";
const FILE: &str = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE";
const MODE: &str = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE";
const EMPTY: (&str, &str) = (DOCUMENT, "{}");
const PLAN: (&str, &str) = (MODE, "plan");

/// One account on each side.
const ACCOUNTS: &[(&str, &str)] = &[
    (
        "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
        "statuspage-key",
    ),
    (
        "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN",
        "pagerduty-token",
    ),
];

/// What comes of these accounts and `more`, without a catalog.
fn without_port(more: &[(&str, &str)]) -> Loaded {
    load(inputs(ACCOUNTS, more)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn incident_sync(more: &[(&str, &str)]) -> IncidentSyncSettings {
    without_port(more).settings.incident_sync.unwrap()
}

#[test]
fn without_any_of_its_variables_there_is_no_incident_sync() {
    let settings = settings(&[(DOCUMENT, ""), (FILE, " "), (MODE, "")]);

    assert!(settings.incident_sync.is_none() && settings.catalog.is_some());
}

#[test]
fn each_of_its_variables_switches_it_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yaml");
    std::fs::write(&path, "mode: apply\n").unwrap();
    let path = path.to_str().unwrap();

    let by_document = incident_sync(&[(DOCUMENT, " {\"mode\": \"plan\"}")]);
    assert_eq!(by_document.mode, None);
    assert_eq!(
        by_document.document,
        Some(SyncDocument {
            origin: DOCUMENT.to_owned(),
            text: " {\"mode\": \"plan\"}".to_owned(),
        })
    );
    assert_eq!(
        incident_sync(&[(FILE, path)]).document,
        Some(SyncDocument {
            origin: path.to_owned(),
            text: "mode: apply\n".to_owned(),
        })
    );
    let by_mode = incident_sync(&[(MODE, "Apply")]);
    assert_eq!(by_mode.mode, Some(SyncMode::Apply));
    assert!(by_mode.document.is_none() && by_mode.pagerstatus.is_none());
    assert_eq!(by_mode.default_mode, SyncMode::Plan);
}

#[test]
fn the_file_is_looked_for_where_the_other_files_are() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.yaml"), "rules: []\n").unwrap();
    let mut inputs = inputs(ACCOUNTS, &[(FILE, "rules.yaml")]);
    inputs.directory = directory.path().to_owned();

    let settings = load(inputs).unwrap().settings;

    let document = settings.incident_sync.unwrap().document.unwrap();
    assert_eq!(document.origin, "rules.yaml");
    assert_eq!(document.text, "rules: []\n");
}

#[test]
fn the_document_may_be_an_object_of_the_config_file_or_of_a_section() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("config.yaml"),
        "integration:\n  config:\n    incidentSyncMode: off\n    incidentSync:\n      \
         pages: [a]\n      guards: {openAfter: 5s}\n",
    )
    .unwrap();
    let mut in_file = inputs(ACCOUNTS, &[]);
    in_file
        .environment
        .extend(inputs(PORT, &[]).environment.clone());
    in_file.directory = directory.path().to_owned();

    let loaded = load(in_file).unwrap();

    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let sync = loaded.settings.incident_sync.unwrap();
    assert_eq!(sync.mode, Some(SyncMode::Off));
    assert_eq!(
        sync.document,
        Some(SyncDocument {
            origin: "integration.config.incidentSync in config.yaml".to_owned(),
            text: r#"{"pages":["a"],"guards":{"openAfter":"5s"}}"#.to_owned(),
        })
    );

    let section = r#"{"incident_sync": {"pages": ["a"]}}"#;
    let sync = incident_sync(&[("OCEAN__INTEGRATION__CONFIG", section)]);
    assert_eq!(
        sync.document,
        Some(SyncDocument {
            origin: "OCEAN__INTEGRATION__CONFIG (incident_sync)".to_owned(),
            text: r#"{"pages":["a"]}"#.to_owned(),
        })
    );
}

#[test]
fn a_document_that_cannot_be_read_is_a_problem_that_does_not_repeat_it() {
    insta::assert_snapshot!(problems(ACCOUNTS, &[(DOCUMENT, r#"{"rules": [hidden-value]}"#)]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC
      expected  a JSON object
      found     (a value of 25 characters)
      hint      it is not JSON: expected value at line 1 column 12
    ");
    insta::assert_snapshot!(problems(ACCOUNTS, &[(DOCUMENT, r#"["hidden-value"]"#)]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC
      expected  a JSON object
      found     (a value of 16 characters)
    ");
    insta::assert_snapshot!(problems(ACCOUNTS, &[(FILE, "/nonexistent/rules.yaml")]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE
      expected  the path of a readable YAML file
      found     `/nonexistent/rules.yaml`: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(problems(ACCOUNTS, &[EMPTY, (FILE, "/nonexistent/rules.yaml")]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC and OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE
      expected  one of the two
      found     both
    ");
    insta::assert_snapshot!(problems(ACCOUNTS, &[(MODE, "aply")]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE
      expected  off, plan, apply or false
      found     `aply`
      hint      write apply
    ");
}

#[test]
fn its_accounts_are_those_of_the_sources() {
    let more = &[
        PLAN,
        (
            "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS",
            r#"["a", "b"]"#,
        ),
        (
            "OCEAN__INTEGRATION__CONFIG__OPSGENIE_ACCOUNTS",
            r#"[{"name":"eu","api_token":"opsgenie-token"}]"#,
        ),
    ];
    let without_catalog = incident_sync(more);
    let beside_it = load(inputs(&[PORT, ACCOUNTS].concat(), more))
        .unwrap()
        .settings;

    for sync in [without_catalog, beside_it.incident_sync.unwrap()] {
        assert_eq!(sync.statuspage[0].page_ids, ["a", "b"]);
        assert_eq!(sync.pagerduty[0].name, None);
        assert_eq!(sync.opsgenie[0].name.as_deref(), Some("eu"));
    }
    assert_eq!(beside_it.catalog.unwrap().sources.names(), SourceName::ALL);
}

#[test]
fn one_side_alone_is_nothing_to_keep_in_step() {
    insta::assert_snapshot!(problems(PAGERDUTY, &[PLAN]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY
      expected  the key of a Statuspage account, for its incidents to be kept in step
      found     nothing
      hint      or set OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS; OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE=off does without
    ");
    insta::assert_snapshot!(problems(&ACCOUNTS[..1], &[PLAN]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN or OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN
      expected  the credentials of an account whose incidents Statuspage is to follow
      found     nothing
      hint      or set OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS or OCEAN__INTEGRATION__CONFIG__OPSGENIE_ACCOUNTS; OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE=off does without
    ");
    // Switching off works whatever is there.
    let off = settings(&[(MODE, "off")]);
    assert_eq!(off.incident_sync.unwrap().mode, Some(SyncMode::Off));
}

#[test]
fn an_account_that_cannot_be_used_is_one_problem() {
    insta::assert_snapshot!(
        problems(
            &ACCOUNTS[1..],
            &[PLAN, ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS", "hidden-value")]
        ),
        @r#"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS
      expected  a JSON array of accounts: [{"name":"eu","api_key":"…","host":"https://…","ids":["…"]}]
      found     (a value of 12 characters)
    "#
    );
}

#[test]
fn without_credentials_of_port_there_is_no_catalog_and_that_is_said() {
    let loaded = without_port(&[
        PLAN,
        // Nobody is to listen, and the type demands nothing.
        ("OCEAN__EVENT_LISTENER__INTERVAL", "30"),
        ("OCEAN__INTEGRATION__TYPE", "opsgenie"),
    ]);

    assert!(loaded.settings.catalog.is_none());
    insta::assert_snapshot!(loaded.warnings.join("\n"), @"only incidents are kept in step, and no catalog: neither `OCEAN__PORT__CLIENT_ID` nor `OCEAN__PORT__CLIENT_SECRET` is set");
}

#[test]
fn a_token_file_belongs_to_the_source_that_the_type_names_without_a_catalog_too() {
    let file = ("OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", "/token");
    let kind = ("OCEAN__INTEGRATION__TYPE", "pagerduty");

    let loaded = load(inputs(&ACCOUNTS[..1], &[PLAN, kind, file])).unwrap();

    let sync = loaded.settings.incident_sync.unwrap();
    let Credential::File(path) = &sync.pagerduty[0].token else {
        panic!("a file")
    };
    assert_eq!(path, &PathBuf::from("/token"));
}

#[test]
fn a_token_that_could_be_of_several_vendors_is_refused_without_a_catalog_too() {
    let token = ("OCEAN__INTEGRATION__CONFIG__TOKEN", "pagerduty-token");

    insta::assert_snapshot!(problems(&ACCOUNTS[..1], &[PLAN, token]), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__TOKEN
      expected  OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN, which says whose it is
      found     the name without the source in it
      hint      several sources are on; or name one of them in `OCEAN__INTEGRATION__TYPE`
    ");
}

#[test]
fn half_of_the_credentials_of_port_ask_for_the_other_half() {
    insta::assert_snapshot!(
        problems(ACCOUNTS, &[PLAN, ("OCEAN__PORT__CLIENT_ID", "id")]),
        @"
    The settings have a problem:

    OCEAN__PORT__CLIENT_SECRET
      expected  a text
      found     nothing
      hint      Port shows it beside the client id
    "
    );
}

#[test]
fn what_is_switched_off_does_not_do_without_a_catalog() {
    insta::assert_snapshot!(problems(ACCOUNTS, &[EMPTY, (MODE, "off")]), @"
    The settings have 2 problems:

    OCEAN__PORT__CLIENT_ID
      expected  a text
      found     nothing
      hint      in Port, open the `...` menu at the top right and choose Credentials

    OCEAN__PORT__CLIENT_SECRET
      expected  a text
      found     nothing
      hint      Port shows it beside the client id
    ");
}

#[test]
fn the_state_of_an_incident_sync_alone_has_a_file_of_its_own() {
    let state_path = |more: &[(&str, &str)]| {
        let settings = without_port(&[&[PLAN], more].concat()).settings;
        settings.state_path.display().to_string()
    };

    assert_eq!(state_path(&[]), "/tmp/ocean/portolan-incident-sync.sqlite3");
    assert_eq!(
        state_path(&[("OCEAN__INTEGRATION__IDENTIFIER", "mine")]),
        "/tmp/ocean/portolan-mine.sqlite3"
    );
    assert_eq!(state_path(&[("OCEAN__STATE_PATH", "/state")]), "/state");
}

#[test]
fn a_rule_sees_of_the_environment_what_a_mapping_sees() {
    let sync = incident_sync(&[PLAN, ("REGION", "eu"), ("COPY", "pagerduty-token")]);

    assert_eq!(sync.jq_environment["REGION"], "eu");
    assert!(!sync.jq_environment.contains_key("COPY"));
}

#[test]
fn its_misspelt_variables_are_told_with_the_right_ones() {
    insta::assert_snapshot!(
        warnings(&[
            ("OCEAN__INTEGRATION__CONFIG__INCIDENTSYNC", "{}"),
            ("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FLIE", "x"),
            ("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC__MODE", "apply"),
        ]),
        @"
    `OCEAN__INTEGRATION__CONFIG__INCIDENTSYNC` is not a setting and has no effect; did you mean `OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC`?
    `OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FLIE` is not a setting and has no effect; did you mean `OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE`?
    `OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC__MODE` is not a setting and has no effect; did you mean `OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE`?
    "
    );
}
