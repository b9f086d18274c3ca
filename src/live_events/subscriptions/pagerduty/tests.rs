use secrecy::SecretString;
use url::Url;

use super::*;

const OURS: &str = "https://h.example/integration/webhook/pagerduty";

fn address(base: &str, token: &str) -> WebhookAddress {
    let base = base.parse().unwrap();
    WebhookAddress::new(&base, None, "mine", SecretString::from(token))
}

/// As it is to be, with this identifier.
fn right(id: &str) -> WebhookSubscription {
    WebhookSubscription {
        id: id.to_owned(),
        url: OURS.parse().ok(),
        active: true,
        temporarily_disabled: Some(false),
        description: address("https://h.example", "t").description(),
        events: ALL.iter().map(|&event| event.to_owned()).collect(),
        header_names: vec!["x-portolan-token".to_owned()],
        whole_account: true,
    }
}

fn at(url: &str, one: WebhookSubscription) -> WebhookSubscription {
    WebhookSubscription {
        url: url.parse().ok(),
        ..one
    }
}

fn described(description: &str, one: WebhookSubscription) -> WebhookSubscription {
    WebhookSubscription {
        description: description.to_owned(),
        ..one
    }
}

fn planned(found: &[WebhookSubscription]) -> Vec<String> {
    let address = address("https://h.example", "t");
    let urls: Vec<Url> = [OURS.to_owned(), format!("{OURS}/eu")]
        .iter()
        .map(|url| url.parse().unwrap())
        .collect();
    let wanted = Wanted {
        address: &address,
        urls: &urls,
        events: &ALL,
    };
    let changes = plan(found, &wanted);
    changes.iter().map(|change| format!("{change:?}")).collect()
}

type Row<'a> = (&'a str, Vec<WebhookSubscription>, Vec<&'a str>);

#[track_caller]
fn check(table: Vec<Row<'_>>) {
    for (what, found, expected) in table {
        assert_eq!(planned(&found), expected, "{what}");
    }
}

#[test]
fn one_that_is_right_is_kept_and_all_it_lacks_is_set() {
    check(vec![
        ("nothing", vec![], vec!["Create"]),
        ("the right one", vec![right("P1")], vec![]),
        (
            "the right one for another token of the account",
            vec![at(&format!("{OURS}/eu"), right("P1"))],
            vec![],
        ),
        (
            "two of them",
            vec![
                right("P3"),
                right("P2"),
                at(&format!("{OURS}/eu"), right("P4")),
            ],
            vec![r#"Delete("P3")"#, r#"Delete("P4")"#],
        ),
        (
            "one that deliveries were given up to",
            vec![WebhookSubscription {
                temporarily_disabled: Some(true),
                ..right("P1")
            }],
            vec![r#"Revive("P1")"#],
        ),
        (
            "one that somebody switched off",
            vec![WebhookSubscription {
                active: false,
                temporarily_disabled: Some(true),
                ..right("P1")
            }],
            vec![],
        ),
        (
            "one switched off and one that is not",
            vec![
                WebhookSubscription {
                    active: false,
                    ..right("P1")
                },
                right("P2"),
            ],
            vec![r#"Delete("P1")"#],
        ),
        (
            "one that tells too little",
            vec![WebhookSubscription {
                events: ["incident.triggered".to_owned()].into(),
                ..right("P1")
            }],
            vec![r#"Correct("P1")"#],
        ),
        (
            "one that tells more",
            vec![WebhookSubscription {
                events: right("")
                    .events
                    .into_iter()
                    .chain(["pagey.ping".to_owned()])
                    .collect(),
                ..right("P1")
            }],
            vec![],
        ),
        (
            "one that tells of one service",
            vec![WebhookSubscription {
                whole_account: false,
                ..right("P1")
            }],
            vec![r#"Correct("P1")"#],
        ),
    ]);
}

#[test]
fn what_is_ours_and_wrong_is_replaced_and_nothing_else_is_touched() {
    let create = "Create";
    let theirs = || address("https://h.example", "other").description();
    check(vec![
        (
            "one with another token",
            vec![described(&theirs(), right("P1"))],
            vec![create, r#"Delete("P1")"#],
        ),
        (
            "one without the token",
            vec![WebhookSubscription {
                header_names: vec!["X-Other".to_owned()],
                ..right("P1")
            }],
            vec![create, r#"Delete("P1")"#],
        ),
        (
            "one of an account that is called something else now",
            vec![
                right("P1"),
                described(&theirs(), at(&format!("{OURS}/old"), right("P2"))),
            ],
            vec![r#"Delete("P2")"#],
        ),
        (
            "one of this installation at an earlier address",
            vec![at(
                "https://old.example/x/integration/webhook/pagerduty",
                right("P1"),
            )],
            vec![create, r#"Delete("P1")"#],
        ),
        (
            "one of another installation",
            vec![described(
                &theirs(),
                at(
                    "https://o.example/integration/webhook/pagerduty",
                    right("P1"),
                ),
            )],
            vec![create],
        ),
        (
            "the original's",
            vec![described(
                "Port Ocean Integration",
                at("https://h.example/integration/webhook", right("P1")),
            )],
            vec![create, r#"Delete("P1")"#],
        ),
        (
            "the original's, which goes on somewhere else",
            vec![described(
                "Port Ocean Integration",
                at("https://o.example/integration/webhook", right("P1")),
            )],
            vec![create],
        ),
        (
            "what somebody set up by hand",
            vec![described(
                "mine",
                at("https://h.example/integration/webhook", right("P1")),
            )],
            vec![create],
        ),
        (
            "one that is not delivered by HTTP",
            vec![WebhookSubscription {
                url: None,
                ..right("P1")
            }],
            vec![create],
        ),
    ]);
}

#[test]
fn what_every_account_offers_is_among_everything() {
    assert!(ESSENTIAL.iter().all(|event| ALL.contains(event)));
    assert!(ALL.is_sorted() && ESSENTIAL.is_sorted());
}
