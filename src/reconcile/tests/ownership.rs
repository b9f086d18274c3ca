//! Whose an incident is.

use serde_json::{Value, json};

use super::{OWNER, ago};
use crate::reconcile::alert::SourceId;
use crate::reconcile::config::AlertSource;
use crate::reconcile::model::PublicIncident;
use crate::reconcile::record::{Hands, Key, Ownership, Record, Text};

fn hash(body: &str) -> String {
    Text {
        status: "investigating".to_owned(),
        body: body.to_owned(),
    }
    .hash()
}

fn record(hash: &str) -> Value {
    json!({
        "owner": OWNER, "key": "component:a", "rule": "pagerduty", "components": {"a": "partial_outage"},
        "sources": [{"source": "pagerduty", "account": "main", "id": "PX1", "status": "acknowledged", "assigned": "x"}],
        "hash": hash,
    })
}

fn ownership(metadata: &Value, updates: &[(&str, Value)]) -> Ownership {
    let updates: Vec<Value> = updates
        .iter()
        .map(|(body, affected)| {
            json!({"id": "u", "status": "investigating", "body": body, "affected_components": affected, "created_at": ago(1)})
        })
        .collect();
    let incident = json!({
        "id": "i", "status": "investigating", "created_at": ago(5), "metadata": metadata,
        "incident_updates": updates, "components": [],
    });
    PublicIncident::parse(&incident, OWNER).unwrap().ownership
}

#[test]
fn the_record_and_the_newest_update_say_whose_it_is() {
    let none = Value::Null;
    let ours = |body| {
        ownership(
            &json!({"portolan": record(&hash("We look."))}),
            &[(body, none.clone())],
        )
    };
    assert!(matches!(ours("We look."), Ownership::Ours(_)));
    // However the API stores line ends and blanks.
    assert!(matches!(ours(" We look. \r\n"), Ownership::Ours(_)));
    assert!(matches!(
        ours("An engineer writes."),
        Ownership::Human(Some(_), Hands::Wrote)
    ));

    let with = |change: fn(&mut Value)| {
        let mut record = record(&hash("We look."));
        change(&mut record);
        ownership(
            &json!({"portolan": record}),
            &[("An engineer writes.", none.clone())],
        )
    };
    assert!(matches!(
        with(|record| record["hold"] = json!(false)),
        Ownership::HandedBack(_)
    ));
    assert!(matches!(
        with(|record| record["hold"] = json!(true)),
        Ownership::Human(Some(_), Hands::Hold)
    ));
    assert_eq!(
        with(|record| record["owner"] = json!("others")),
        Ownership::Others
    );
    assert_eq!(
        with(|record| record["key"] = json!("nonsense")),
        Ownership::Human(None, Hands::Unreadable)
    );
    assert_eq!(
        ownership(&json!({"jira": {"issue": "X"}}), &[("Hello.", none)]),
        Ownership::Others
    );
}

#[test]
fn pagerstatus_is_known_by_the_watermark_in_its_oldest_update() {
    let affected = |code: Value| json!([{"code": null}, {"code": code, "name": "Component"}]);
    let marked = "Something is wrong.\n⛈";
    let none = Value::Null;
    let cases = [
        (
            vec![(marked, affected(json!("a")))],
            Ownership::Pagerstatus("a".into()),
        ),
        (
            vec![
                ("An engineer writes.", none.clone()),
                (marked, affected(json!("a"))),
            ],
            Ownership::Human(
                Some(Record::new(OWNER, Key::Component("a".into()), "")),
                Hands::Wrote,
            ),
        ),
        // Pagerstatus itself fails on these.
        (
            vec![(marked, none.clone())],
            Ownership::Human(None, Hands::Unreadable),
        ),
        (
            vec![(marked, json!([]))],
            Ownership::Human(None, Hands::Unreadable),
        ),
        (vec![], Ownership::Others),
        // A mark that somebody quotes later does not make it Pagerstatus'.
        (
            vec![(marked, none.clone()), ("We look.", none)],
            Ownership::Others,
        ),
    ];
    for (updates, expected) in cases {
        assert_eq!(ownership(&json!({}), &updates), expected, "{updates:?}");
    }
}

#[test]
fn an_own_incident_holds_its_components_though_the_page_does_not_say_so() {
    let mut record = record("h");
    record["components"]["b"] = json!("major_outage");
    record["owes"] = json!(["b"]);
    for components in [json!(null), json!([])] {
        let incident = json!({
            "id": "i", "status": "investigating", "created_at": ago(5), "components": components,
            "metadata": {"portolan": record}, "incident_updates": null,
        });
        let incident = PublicIncident::parse(&incident, OWNER).unwrap();
        assert_eq!(incident.components, ["a".into()].into());
    }
}

#[test]
fn a_record_is_read_back_as_it_was_written_and_leaves_other_metadata_alone() {
    let metadata = json!({"jira": {"issue": "OPS-1"}, "portolan": record("h")});
    let Value::Object(metadata) = metadata else {
        panic!()
    };
    let record: Record = serde_json::from_value(metadata["portolan"].clone()).unwrap();
    let written = record.in_metadata(&metadata);
    assert_eq!(written["jira"], json!({"issue": "OPS-1"}));
    assert_eq!(
        serde_json::from_value::<Record>(written["portolan"].clone()).unwrap(),
        record
    );
}

#[test]
fn keys_are_read_back_whatever_an_account_is_called() {
    let id = SourceId {
        source: AlertSource::OpsgenieAlert,
        account: "eu/west: team".to_owned(),
        id: "70413a06-38d6".to_owned(),
    };
    for key in [Key::Component("a".into()), Key::Incident(id)] {
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<Key>(&text).unwrap(), key, "{text}");
    }
    assert!(serde_json::from_str::<Key>("\"incident:nowhere/a\"").is_err());
}
