//! An installation of Pagerstatus, taken over with its own environment.

use secrecy::ExposeSecret;

use super::*;

const PAGERSTATUS: &[(&str, &str)] = &[
    ("STATUSPAGE_PAGE", "page-id"),
    ("STATUSPAGE_KEY", "secret-key"),
    ("PD_ACCOUNT_HUGOPS", "secret-hugops"),
    ("PD_ACCOUNT_Second_One", " secret-second "),
];

fn loaded_with(more: &[(&str, &str)]) -> Loaded {
    load(inputs(PAGERSTATUS, more)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn incident_sync(more: &[(&str, &str)]) -> IncidentSyncSettings {
    loaded_with(more).settings.incident_sync.unwrap()
}

fn value(credential: &Credential) -> &str {
    let Credential::Fixed(secret) = credential else {
        panic!("no file")
    };
    secret.expose_secret()
}

#[test]
fn its_variables_are_all_it_takes() {
    let Loaded { settings, warnings } = loaded_with(&[]);

    assert!(settings.catalog.is_none());
    let sync = settings.incident_sync.unwrap();
    assert_eq!(sync.mode, None);
    assert_eq!(sync.default_mode, SyncMode::Apply);
    assert_eq!(sync.pagerstatus.unwrap().accounts, ["hugops", "second_one"]);
    let [statuspage] = &sync.statuspage[..] else {
        panic!("one account")
    };
    assert_eq!(statuspage.name.as_deref(), Some("pagerstatus"));
    assert_eq!(statuspage.host.as_str(), "https://api.statuspage.io/");
    assert_eq!(statuspage.page_ids, ["page-id"]);
    assert_eq!(value(&statuspage.api_key), "secret-key");
    let accounts: Vec<_> = sync
        .pagerduty
        .iter()
        .map(|account| {
            let name = account.name.as_deref().unwrap();
            (name, account.api_url.as_str(), value(&account.token))
        })
        .collect();
    let url = "https://api.pagerduty.com/";
    assert_eq!(
        accounts,
        [
            ("hugops", url, "secret-hugops"),
            ("second_one", url, "secret-second")
        ]
    );
    insta::assert_snapshot!(warnings.join("\n"), @"only incidents are kept in step, and no catalog: neither `OCEAN__PORT__CLIENT_ID` nor `OCEAN__PORT__CLIENT_SECRET` is set");
}

#[test]
fn the_mode_may_be_said_all_the_same() {
    let mode = ("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE", "plan");

    let sync = incident_sync(&[mode]);

    assert_eq!(sync.mode, Some(SyncMode::Plan));
    assert_eq!(sync.default_mode, SyncMode::Apply);
}

#[test]
fn the_addresses_are_those_of_the_sources_settings() {
    for name in ["PAGERDUTY_API_URL", "API_URL"] {
        let name = format!("OCEAN__INTEGRATION__CONFIG__{name}");
        let loaded = loaded_with(&[
            (&name, "https://pagerduty.example"),
            (
                "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST",
                "https://statuspage.example",
            ),
        ]);

        let sync = loaded.settings.incident_sync.unwrap();
        assert_eq!(
            sync.statuspage[0].host.as_str(),
            "https://statuspage.example/"
        );
        for account in sync.pagerduty {
            assert_eq!(account.api_url.as_str(), "https://pagerduty.example/");
        }
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    }
}

#[test]
fn an_address_of_opsgenie_is_not_taken_for_pagerdutys() {
    let sync = incident_sync(&[
        ("OCEAN__INTEGRATION__CONFIG__API_TOKEN", "secret-opsgenie"),
        (
            "OCEAN__INTEGRATION__CONFIG__API_URL",
            "https://opsgenie.example",
        ),
    ]);

    assert_eq!(
        sync.opsgenie[0].api_url.as_str(),
        "https://opsgenie.example/"
    );
    assert_eq!(
        sync.pagerduty[0].api_url.as_str(),
        "https://api.pagerduty.com/"
    );
}

#[test]
fn an_address_that_the_type_gives_to_nobody_is_told() {
    let loaded = loaded_with(&[
        ("OCEAN__INTEGRATION__TYPE", "statuspage"),
        ("OCEAN__INTEGRATION__CONFIG__API_URL", "https://x.example"),
    ]);

    insta::assert_snapshot!(loaded.warnings[0], @"`OCEAN__INTEGRATION__CONFIG__API_URL` has no effect: it is no setting of Statuspage; PagerDuty's is `OCEAN__INTEGRATION__CONFIG__PAGERDUTY_API_URL`, Opsgenie's is `OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL`");
}

#[test]
fn its_accounts_switch_no_source_of_the_catalog_on() {
    let opsgenie = ("OCEAN__INTEGRATION__CONFIG__API_TOKEN", "secret-opsgenie");
    let more: Vec<_> = PORT.iter().copied().chain([opsgenie]).collect();

    let settings = loaded_with(&more).settings;

    let sources = settings.catalog.unwrap().sources;
    assert_eq!(sources.names(), [SourceName::Opsgenie]);
    let sync = settings.incident_sync.unwrap();
    assert_eq!(sync.opsgenie.len(), 1);
    assert_eq!(sync.pagerduty.len(), 2);
    insta::assert_snapshot!(problems(PAGERSTATUS, PORT), @"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__…
      expected  the credentials of at least one source
      found     nothing
      hint      set OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY for Statuspage, OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN for PagerDuty, OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN for Opsgenie, or several of them
    ");
}

#[test]
fn they_come_beside_the_accounts_of_the_sources() {
    let sync = incident_sync(&[
        ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY", "secret-1"),
        ("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN", "secret-2"),
    ]);

    let names: Vec<_> = sync.statuspage.iter().map(|one| &one.name).collect();
    assert_eq!(names, [&None, &Some("pagerstatus".to_owned())]);
    let names: Vec<_> = sync.pagerduty.iter().map(|one| &one.name).collect();
    assert_eq!(
        names,
        [
            &None,
            &Some("hugops".to_owned()),
            &Some("second_one".to_owned())
        ]
    );
}

#[test]
fn what_has_an_effect_because_of_them_is_not_said_to_have_none() {
    let more = &[
        PAGERSTATUS,
        &[
            (
                "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST",
                "https://statuspage.example",
            ),
            ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS", r#"["a"]"#),
        ],
    ]
    .concat();

    insta::assert_snapshot!(warnings(more), @"`OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS` has no effect: it belongs to OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY");
}

#[test]
fn some_of_them_alone_are_a_problem_that_names_the_others() {
    insta::assert_snapshot!(problems(&PAGERSTATUS[..1], &[]), @"
    The settings have a problem:

    STATUSPAGE_KEY and PD_ACCOUNT_<NAME>
      expected  all of Pagerstatus' variables: the page, its API key, and a PagerDuty API key for each account
      found     nothing
      hint      set so far: `STATUSPAGE_PAGE`; without Pagerstatus, set the credentials of a source, and Port's for a catalog
    ");
    insta::assert_snapshot!(problems(&PAGERSTATUS[1..], &[("STATUSPAGE_PAGE", " ")]), @"
    The settings have a problem:

    STATUSPAGE_PAGE
      expected  all of Pagerstatus' variables: the page, its API key, and a PagerDuty API key for each account
      found     nothing
      hint      set so far: `STATUSPAGE_KEY`, `PD_ACCOUNT_HUGOPS`, `PD_ACCOUNT_Second_One`; without Pagerstatus, set the credentials of a source, and Port's for a catalog
    ");
}

#[test]
fn some_of_them_beside_something_else_are_without_effect() {
    insta::assert_snapshot!(warnings(&PAGERSTATUS[..2]), @"without effect, because PD_ACCOUNT_<NAME> is not set: `STATUSPAGE_PAGE`, `STATUSPAGE_KEY`");
    // A source says that a catalog is meant.
    insta::assert_snapshot!(problems(&PAGERDUTY[2..], &PAGERSTATUS[1..3]), @"
    The settings have 2 problems:

    OCEAN__PORT__CLIENT_ID
      expected  a text
      found     nothing
      hint      in Port, open the `...` menu at the top right and choose Credentials

    OCEAN__PORT__CLIENT_SECRET
      expected  a text
      found     nothing
      hint      Port shows it beside the client id

    Worth a look, too:

      without effect, because STATUSPAGE_PAGE is not set: `STATUSPAGE_KEY`, `PD_ACCOUNT_HUGOPS`
    ");
    let mode = ("OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE", "off");
    let settings = settings(&[mode, PAGERSTATUS[0], PAGERSTATUS[2]]);
    let sync = settings.incident_sync.unwrap();
    assert!(sync.pagerstatus.is_none());
    assert_eq!(sync.pagerduty.len(), 1);
    assert_eq!(sync.default_mode, SyncMode::Plan);
}

#[test]
fn names_that_are_the_same_in_lower_case_are_a_problem() {
    insta::assert_snapshot!(
        problems(PAGERSTATUS, &[("PD_ACCOUNT_hugops", "secret"), ("PD_ACCOUNT_", "secret")]),
        @"
    The settings have 2 problems:

    PD_ACCOUNT_
      expected  PD_ACCOUNT_<NAME>, with a name of the account
      found     no name

    PD_ACCOUNT_HUGOPS and PD_ACCOUNT_hugops
      expected  names that differ in more than upper and lower case
      found     two variables for the account `hugops`
    "
    );
}

#[test]
fn they_are_read_in_upper_case_only_and_from_dotenv_too() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join(".env"),
        "STATUSPAGE_PAGE=from-dotenv\nSTATUSPAGE_KEY=from-dotenv\nPD_ACCOUNT_A=from-dotenv\n\
         pd_account_b=lower-case\n",
    )
    .unwrap();
    let environment = &[
        ("STATUSPAGE_PAGE", "from-the-environment"),
        ("STATUSPAGE_KEY", ""),
        ("statuspage_page", "lower-case"),
    ];
    let mut inputs = inputs(environment, &[]);
    inputs.directory = directory.path().to_owned();

    let sync = load(inputs).unwrap().settings.incident_sync.unwrap();

    assert_eq!(sync.statuspage[0].page_ids, ["from-the-environment"]);
    assert_eq!(value(&sync.statuspage[0].api_key), "from-dotenv");
    assert_eq!(sync.pagerstatus.unwrap().accounts, ["a"]);
}

#[test]
fn their_secrets_are_masked_and_shown_to_nobody() {
    // Complete or not.
    for given in [PAGERSTATUS, &PAGERSTATUS[1..]] {
        let loaded = load(inputs(
            &[PAGERDUTY, given].concat(),
            &[("COPY", "has secret-hugops inside")],
        ));
        // The catalog is on, and the incident sync as well where they are complete.
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));

        let debug = format!("{loaded:#?}");
        assert!(!debug.contains("secret-"), "{debug}");
        let masked: Vec<_> = loaded
            .settings
            .secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .filter(|secret| secret.starts_with("secret-"))
            .collect();
        assert_eq!(masked, ["secret-hugops", "secret-key", "secret-second"]);
        let seen = loaded.settings.catalog.unwrap().jq_environment;
        assert!(
            seen.keys().all(|name| name == "STATUSPAGE_PAGE"),
            "{seen:?}"
        );
    }
}

#[test]
fn a_secret_of_theirs_in_the_wrong_place_is_not_shown() {
    let told = problems(
        PAGERSTATUS,
        &[
            ("OCEAN__CLIENT_TIMEOUT", "secret-key"),
            (
                "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_FILE",
                "/nonexistent/secret-hugops",
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC_MODE",
                "secret-key",
            ),
        ],
    );

    assert!(!told.contains("secret-"), "{told}");
    assert!(told.contains("3 problems"), "{told}");
}
