//! Which sources are on, whose the settings are, what the type does.

use secrecy::ExposeSecret;

use super::*;

const STATUSPAGE_KEY: (&str, &str) = (
    "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY",
    "statuspage-key",
);
const PAGERDUTY_TOKEN: (&str, &str) = (
    "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN",
    "pagerduty-token",
);
const TOKEN: (&str, &str) = ("OCEAN__INTEGRATION__CONFIG__TOKEN", "pagerduty-token");
const OPSGENIE_TOKEN: (&str, &str) = (
    "OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN",
    "opsgenie-token",
);
const API_TOKEN: (&str, &str) = ("OCEAN__INTEGRATION__CONFIG__API_TOKEN", "opsgenie-token");
const API_URL: (&str, &str) = ("OCEAN__INTEGRATION__CONFIG__API_URL", "https://api.example");

fn with_type(kind: &'static str) -> (&'static str, &'static str) {
    ("OCEAN__INTEGRATION__TYPE", kind)
}

fn from_port(more: &[(&str, &str)]) -> CatalogSettings {
    catalog_of(load(inputs(PORT, more)).unwrap_or_else(|problems| panic!("{problems}")))
}

/// Type and sources of what loads.
fn outcome(more: &[(&str, &str)]) -> (String, Vec<SourceName>) {
    let catalog = from_port(more);
    (catalog.integration.kind, catalog.sources.names())
}

#[test]
fn the_type_defaults_to_the_one_source_that_is_on_else_portolan() {
    use SourceName::{Pagerduty, Statuspage};

    assert_eq!(
        outcome(&[STATUSPAGE_KEY]),
        ("statuspage".to_owned(), vec![Statuspage])
    );
    assert_eq!(
        outcome(&[TOKEN, API_URL]),
        ("pagerduty".to_owned(), vec![Pagerduty])
    );
    assert_eq!(
        outcome(&[PAGERDUTY_TOKEN]),
        ("pagerduty".to_owned(), vec![Pagerduty])
    );
    assert_eq!(
        outcome(&[STATUSPAGE_KEY, PAGERDUTY_TOKEN]),
        ("portolan".to_owned(), vec![Statuspage, Pagerduty])
    );
}

#[test]
fn sources_follow_credentials_and_the_type_only_names_the_integration() {
    use SourceName::{Pagerduty, Statuspage};

    assert_eq!(
        outcome(&[with_type("PagerDuty"), TOKEN, STATUSPAGE_KEY]),
        ("pagerduty".to_owned(), vec![Statuspage, Pagerduty])
    );
    assert_eq!(
        outcome(&[with_type("portolan"), STATUSPAGE_KEY]),
        ("portolan".to_owned(), vec![Statuspage])
    );
}

#[test]
fn the_originals_settings_reach_their_source() {
    let catalog = from_port(&[
        STATUSPAGE_KEY,
        (
            "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST",
            "http://localhost:1/",
        ),
        ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS", r#"["a","b"]"#),
    ]);

    let account = &catalog.sources.statuspage[0];
    assert_eq!(account.host.as_str(), "http://localhost:1/");
    assert_eq!(account.page_ids, ["a", "b"]);
    assert_eq!(account.name, None);
}

#[test]
fn several_accounts_are_given_as_a_list() {
    let settings = load(inputs(
        PORT,
        &[
            (
                "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS",
                r#"[{"name":"eu","token":"t-eu","api_url":"https://api.eu.example/"},{"name":"us","token":"t-us"}]"#,
            ),
            (
                "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS",
                r#"[{"name":"one","api_key":"k-one","ids":["p"]}]"#,
            ),
            ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST", "https://host.example"),
        ],
    ))
    .unwrap()
    .settings;

    let SourceSettings {
        statuspage,
        pagerduty,
        ..
    } = settings.catalog.unwrap().sources;
    assert_eq!(pagerduty[0].name.as_deref(), Some("eu"));
    assert_eq!(pagerduty[0].api_url.as_str(), "https://api.eu.example/");
    assert_eq!(pagerduty[1].api_url.as_str(), "https://api.pagerduty.com/");
    assert_eq!(statuspage[0].host.as_str(), "https://host.example/");
    assert_eq!(statuspage[0].page_ids, ["p"]);
    let masked: Vec<_> = settings
        .secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(
        masked,
        [
            "k-one",
            "port-client-id",
            "port-client-secret",
            "t-eu",
            "t-us"
        ]
    );
}

#[test]
fn a_token_file_stands_in_for_the_token_of_the_source_that_the_type_names() {
    let catalog = from_port(&[
        with_type("statuspage"),
        ("OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", "/token"),
    ]);

    let Credential::File(path) = &catalog.sources.statuspage[0].api_key else {
        panic!("a file")
    };
    assert_eq!(path, &PathBuf::from("/token"));
}

#[test]
fn a_token_file_without_a_type_is_a_problem() {
    insta::assert_snapshot!(
        problems(PAGERDUTY, &[("OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", "/token")]),
        @r"
    The settings have a problem:

    OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH
      expected  a file whose source is named by OCEAN__INTEGRATION__TYPE
      found     `/token`
      hint      set OCEAN__INTEGRATION__TYPE to opsgenie, pagerduty or statuspage
    "
    );
}

#[test]
fn a_token_beside_its_file_is_told_to_be_without_effect() {
    insta::assert_snapshot!(
        warnings(&[with_type("pagerduty"), ("OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH", "/token")]),
        @"`OCEAN__INTEGRATION__CONFIG__TOKEN` has no effect: `OCEAN__OAUTH_ACCESS_TOKEN_FILE_PATH` is set and stands in for it"
    );
}

#[test]
fn without_any_source_one_problem_lists_what_to_set() {
    insta::assert_snapshot!(problems(PORT, &[API_URL]), @r"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__…
      expected  the credentials of at least one source
      found     nothing
      hint      set OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY for Statuspage, OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN for PagerDuty, OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN for Opsgenie, or several of them
    ");
    insta::assert_snapshot!(
        problems(PORT, &[("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS", "[]")]),
        @r"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__…
      expected  the credentials of at least one source
      found     nothing
      hint      set OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY for Statuspage, OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN for PagerDuty, OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN for Opsgenie, or several of them
    "
    );
}

#[test]
fn the_type_makes_the_credentials_of_its_source_required() {
    insta::assert_snapshot!(problems(PORT, &[with_type("pagerduty"), STATUSPAGE_KEY]), @r"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__TOKEN
      expected  a text
      found     nothing
      hint      create an API access key in PagerDuty under Integrations > API Access Keys
    ");
    insta::assert_snapshot!(
        problems(
            PORT,
            &[with_type("statuspage"), ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY", "")]
        ),
        @r"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__STATUSPAGE_API_KEY
      expected  a text
      found     an empty value
      hint      create an API key in Statuspage under your avatar > API info
    "
    );
}

#[test]
fn a_name_that_several_sources_could_mean_is_a_problem() {
    insta::assert_snapshot!(
        problems(PORT, &[with_type("portolan"), TOKEN, API_URL, STATUSPAGE_KEY]),
        @r"
    The settings have 2 problems:

    OCEAN__INTEGRATION__CONFIG__TOKEN
      expected  OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN, which says whose it is
      found     the name without the source in it
      hint      `OCEAN__INTEGRATION__TYPE` is `portolan`, which is for several sources

    OCEAN__INTEGRATION__CONFIG__API_URL
      expected  OCEAN__INTEGRATION__CONFIG__PAGERDUTY_API_URL or OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL, which says whose it is
      found     the name without the source in it
      hint      `OCEAN__INTEGRATION__TYPE` is `portolan`, which is for several sources
    "
    );
    insta::assert_snapshot!(problems(PORT, &[TOKEN, STATUSPAGE_KEY]), @r"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__TOKEN
      expected  OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN, which says whose it is
      found     the name without the source in it
      hint      several sources are on; or name one of them in `OCEAN__INTEGRATION__TYPE`
    ");
}

#[test]
fn another_sources_setting_under_an_explicit_type_is_told_to_be_without_effect() {
    let loaded = load(inputs(
        PORT,
        &[with_type("statuspage"), STATUSPAGE_KEY, TOKEN],
    ))
    .unwrap();

    insta::assert_snapshot!(loaded.warnings.join("\n"), @"`OCEAN__INTEGRATION__CONFIG__TOKEN` has no effect: it is no setting of Statuspage; PagerDuty's is `OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN`");
    insta::assert_snapshot!(
        warnings(&[("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST", "https://x")]),
        @"`OCEAN__INTEGRATION__CONFIG__STATUSPAGE_HOST` has no effect: no Statuspage credentials are set"
    );
}

#[test]
fn opsgenies_settings_under_another_type_are_told_to_be_without_effect() {
    insta::assert_snapshot!(
        warnings(&[
            with_type("pagerduty"),
            API_TOKEN,
            ("OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL", "https://x"),
        ]),
        @r"
    `OCEAN__INTEGRATION__CONFIG__API_TOKEN` has no effect: it is no setting of PagerDuty; Opsgenie's is `OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN`
    `OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL` has no effect: no Opsgenie credentials are set
    "
    );
}

#[test]
fn two_names_of_one_setting_must_agree() {
    assert_eq!(outcome(&[TOKEN, PAGERDUTY_TOKEN]).0, "pagerduty");

    insta::assert_snapshot!(
        problems(
            PAGERDUTY,
            &[
                ("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN", "another"),
                ("OCEAN__INTEGRATION__CONFIG__PAGERDUTY_APP_HOST", "https://one.example"),
                ("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_APP_HOST", "https://two.example"),
            ]
        ),
        @r"
    The settings have 2 problems:

    OCEAN__INTEGRATION__CONFIG__TOKEN and OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN
      expected  one of the two, or the same value in both
      found     two different values for one setting

    OCEAN__INTEGRATION__CONFIG__STATUSPAGE_APP_HOST and OCEAN__INTEGRATION__CONFIG__PAGERDUTY_APP_HOST
      expected  one of the two, or the same value in both
      found     two different values for one setting
    "
    );
}

#[test]
fn the_originals_settings_of_opsgenie_reach_it() {
    let opsgenie = |more: &[(&str, &str)]| {
        let catalog = from_port(more);
        assert_eq!(catalog.sources.names(), [SourceName::Opsgenie]);
        assert_eq!(catalog.integration.kind, "opsgenie");
        catalog.sources.opsgenie
    };

    for given in [
        &[API_TOKEN, API_URL] as &[_],
        &[with_type("opsgenie"), API_TOKEN, API_URL],
        &[
            with_type("Opsgenie"),
            OPSGENIE_TOKEN,
            (
                "OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_URL",
                "https://api.example/",
            ),
        ],
    ] {
        let account = &opsgenie(given)[0];
        assert_eq!(account.api_url.as_str(), "https://api.example/");
        let Credential::Fixed(token) = &account.api_token else {
            panic!("a token")
        };
        assert_eq!(token.expose_secret(), "opsgenie-token");
        assert_eq!(account.name, None);
    }
    assert_eq!(
        opsgenie(&[API_TOKEN])[0].api_url.as_str(),
        "https://api.opsgenie.com/"
    );
    let accounts = opsgenie(&[(
        "OCEAN__INTEGRATION__CONFIG__OPSGENIE_ACCOUNTS",
        r#"[{"name":"eu","api_token":"t-eu","api_url":"https://api.eu.opsgenie.com"},{"name":"us","api_token":"t-us"}]"#,
    )]);
    assert_eq!(accounts[0].name.as_deref(), Some("eu"));
    assert_eq!(accounts[0].api_url.as_str(), "https://api.eu.opsgenie.com/");
    assert_eq!(accounts[1].api_url.as_str(), "https://api.opsgenie.com/");
}

#[test]
fn three_sources_work_side_by_side() {
    use SourceName::{Opsgenie, Pagerduty, Statuspage};

    assert_eq!(
        outcome(&[STATUSPAGE_KEY, PAGERDUTY_TOKEN, OPSGENIE_TOKEN]),
        ("portolan".to_owned(), vec![Statuspage, Pagerduty, Opsgenie])
    );
    // The type says whose the address is.
    let sources = from_port(&[with_type("opsgenie"), API_TOKEN, API_URL, PAGERDUTY_TOKEN]).sources;
    assert_eq!(sources.opsgenie[0].api_url.as_str(), "https://api.example/");
    assert_eq!(
        sources.pagerduty[0].api_url.as_str(),
        "https://api.pagerduty.com/"
    );
}

#[test]
fn tokens_of_two_originals_need_names_that_say_whose_they_are() {
    insta::assert_snapshot!(problems(PORT, &[TOKEN, API_TOKEN]), @r"
    The settings have 2 problems:

    OCEAN__INTEGRATION__CONFIG__TOKEN
      expected  OCEAN__INTEGRATION__CONFIG__PAGERDUTY_TOKEN, which says whose it is
      found     the name without the source in it
      hint      several sources are on; or name one of them in `OCEAN__INTEGRATION__TYPE`

    OCEAN__INTEGRATION__CONFIG__API_TOKEN
      expected  OCEAN__INTEGRATION__CONFIG__OPSGENIE_API_TOKEN, which says whose it is
      found     the name without the source in it
      hint      several sources are on; or name one of them in `OCEAN__INTEGRATION__TYPE`
    ");
    insta::assert_snapshot!(problems(PORT, &[with_type("opsgenie")]), @r"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__API_TOKEN
      expected  a text
      found     nothing
      hint      create an API key in Opsgenie under Settings > API key management, with the rights to read and to access the configuration
    ");
}

#[test]
fn an_unknown_type_is_a_problem() {
    insta::assert_snapshot!(problems(PAGERDUTY, &[with_type("pager-duty")]), @r"
    The settings have a problem:

    OCEAN__INTEGRATION__TYPE
      expected  opsgenie, pagerduty, statuspage, or portolan for several sources
      found     `pager-duty`
      hint      write pagerduty
    ");
}

#[test]
fn an_account_that_cannot_be_used_is_named_without_its_token() {
    insta::assert_snapshot!(
        problems(
            PORT,
            &[(
                "OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS",
                r#"[{"name":"eu","token":"t1","api_url":"nowhere"},{"token":"t2"},{"name":"eu"}]"#
            )]
        ),
        @r"
    The settings have 4 problems:

    OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS[0].api_url
      expected  an http or https URL with a host and without user name, password, query and fragment
      found     (a value of 7 characters)

    OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS[1].name
      expected  a text: what the account is called in log lines
      found     nothing

    OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS[2].name
      expected  a name that no other account has
      found     `eu`

    OCEAN__INTEGRATION__CONFIG__PAGERDUTY_ACCOUNTS[2].token
      expected  a text
      found     nothing
    "
    );
    insta::assert_snapshot!(
        problems(PORT, &[("OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS", "hidden-value")]),
        @r#"
    The settings have a problem:

    OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS
      expected  a JSON array of accounts: [{"name":"eu","api_key":"…","host":"https://…","ids":["…"]}]
      found     (a value of 12 characters)
    "#
    );
}

#[test]
fn an_unknown_key_of_an_account_is_told() {
    let loaded = load(inputs(
        PORT,
        &[(
            "OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS",
            r#"[{"name":"a","api_key":"k","hosts":"https://x"}]"#,
        )],
    ))
    .unwrap();

    insta::assert_snapshot!(loaded.warnings.join("\n"), @"`OCEAN__INTEGRATION__CONFIG__STATUSPAGE_ACCOUNTS[0].hosts` is not a setting of an account and has no effect; did you mean `host`?");
}
