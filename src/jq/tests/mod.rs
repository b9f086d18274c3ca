//! Tests of the module as a whole.

mod conformance;
mod limits;
mod messages;
mod reading;
mod simple;
mod soundness;

use serde_json::Value;

use super::*;

fn jq() -> Jq {
    let environment = BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]);
    Jq::new(environment, Limits::default())
}

/// What an expression yields for an input.
fn run(text: &str, input: &Value, limits: &Limits) -> Result<Option<Value>, RunError> {
    let jq = Jq::new(
        BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]),
        limits.clone(),
    );
    let filter = jq.compile(text).unwrap();
    on_large_stack_blocking(|| match filter.first(&to_val(input))? {
        Some(output) => from_val(&output, limits).map(Some),
        None => Ok(None),
    })
    .unwrap()
}

#[test]
fn filters_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Jq>();
    shared::<Filter>();
    shared::<CompileError>();
}

#[test]
fn each_distinct_text_is_compiled_once() {
    let jq = jq();
    let first = jq.compile(".a").unwrap();
    assert!(Arc::ptr_eq(&first, &jq.compile(".a").unwrap()));
    assert_eq!(first.text(), ".a");
    assert_eq!(jq.compile(".a ").unwrap().text(), ".a ");
}

#[test]
fn a_literal_is_known_without_running_it() {
    let jq = jq();
    for (text, literal) in [
        ("\"statuspage\"", Some("statuspage")),
        ("'statuspage'", Some("statuspage")),
        (" (\"a\\nb\") ", Some("a\nb")),
        ("\"\"", Some("")),
        ("\"\\(.a)\"", None),
        (".a", None),
        ("@json \"a\"", None),
        ("1", None),
    ] {
        assert_eq!(jq.compile(text).unwrap().literal(), literal, "{text}");
    }
}

#[test]
fn the_environment_is_what_was_given() {
    let null = Value::Null;
    let limits = Limits::default;
    for text in ["env.REGION", "$ENV.REGION", "env | .[\"REGION\"]"] {
        assert_eq!(run(text, &null, &limits()), Ok(Some("eu".into())));
    }
    assert_eq!(run("env | length", &null, &limits()), Ok(Some(1.into())));
    let closed = Jq::new(BTreeMap::new(), limits());
    let filter = closed.compile("env, $ENV | .PATH").unwrap();
    let output = on_large_stack_blocking(|| {
        filter
            .first(&Val::Null)
            .unwrap()
            .is_some_and(|output| output == Val::Null)
    });
    assert_eq!(output, Ok(true));
}

#[test]
fn no_output_is_not_null() {
    let null = Value::Null;
    assert_eq!(run("empty", &null, &Limits::default()), Ok(None));
    assert_eq!(
        run("null", &null, &Limits::default()),
        Ok(Some(Value::Null))
    );
}
