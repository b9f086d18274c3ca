use secrecy::SecretString;
use url::Url;

use super::*;

const OURS: &str = "https://h.example/integration/webhook/statuspage";

/// A subscriber that came at this second.
fn subscriber(id: &str, endpoint: &str, created: i64) -> WebhookSubscriber {
    WebhookSubscriber {
        id: id.to_owned(),
        endpoint: SecretString::from(endpoint),
        quarantined: false,
        created: jiff::Timestamp::from_second(created).ok(),
    }
}

fn right(id: &str, created: i64) -> WebhookSubscriber {
    subscriber(id, &format!("{OURS}?token=t"), created)
}

fn planned(found: &[WebhookSubscriber]) -> Vec<String> {
    let base = "https://h.example".parse().unwrap();
    let address = WebhookAddress::new(&base, None, "mine", SecretString::from("t"));
    let urls: Vec<Url> = [None, Some("eu")]
        .map(|account| address.with_token(SourceName::Statuspage, account))
        .into();
    let wanted = Wanted {
        address: &address,
        urls: &urls,
    };
    let changes = plan(found, &wanted);
    changes.iter().map(|change| format!("{change:?}")).collect()
}

#[test]
fn a_table_of_what_is_found_and_what_is_done_about_it() {
    let create = "Create";
    let at = |endpoint: &str| vec![subscriber("s1", endpoint, 1)];
    let quarantined = |one| WebhookSubscriber {
        quarantined: true,
        ..one
    };
    let table: Vec<(&str, Vec<WebhookSubscriber>, Vec<&str>)> = vec![
        ("nothing", vec![], vec![create]),
        ("the right one", vec![right("s1", 1)], vec![]),
        (
            "the right one for another key that sees the page",
            at(&format!("{OURS}/eu?token=t")),
            vec![],
        ),
        (
            "two of them",
            vec![right("s1", 2), right("s2", 1), right("s0", 2)],
            vec![r#"Delete("s0")"#, r#"Delete("s1")"#],
        ),
        (
            "one in quarantine",
            vec![quarantined(right("s1", 1))],
            vec![r#"Revive("s1")"#],
        ),
        (
            "one in quarantine and one that is not",
            vec![quarantined(right("s1", 1)), right("s2", 2)],
            vec![r#"Delete("s1")"#],
        ),
        (
            "one with another token",
            at(&format!("{OURS}?token=old")),
            vec![create, r#"Delete("s1")"#],
        ),
        ("one without it", at(OURS), vec![create, r#"Delete("s1")"#]),
        (
            "one of a key that is called something else now",
            at(&format!("{OURS}/old?token=t")),
            vec![create, r#"Delete("s1")"#],
        ),
        (
            "one of this installation at an earlier address",
            at("https://old.example/x/integration/webhook/statuspage?token=t"),
            vec![create, r#"Delete("s1")"#],
        ),
        (
            "one of another installation",
            at("https://o.example/integration/webhook/statuspage?token=o"),
            vec![create],
        ),
        (
            "the original's",
            at("https://h.example/integration/webhook"),
            vec![create, r#"Delete("s1")"#],
        ),
        (
            "somebody else's",
            vec![
                subscriber("s1", "https://chat.example/hook", 1),
                subscriber("s2", "no address", 1),
            ],
            vec![create],
        ),
    ];
    for (what, found, expected) in table {
        assert_eq!(planned(&found), expected, "{what}");
    }
}
