//! What is told without running an expression is what running it gives.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The result where it was told, and the result of running the expression.
fn both(text: &str, input: &Value, limits: &Limits) -> (Option<String>, String) {
    let filter = jq().compile(text).unwrap();
    let told = filter.told(|key| input.get(key), limits);
    // Null and none are one thing to whoever asks.
    let shown = |result: Result<Option<Value>, RunError>| {
        format!(
            "{:?}",
            result.map(|value| value.filter(|value| !value.is_null()))
        )
    };
    (told.map(shown), shown(run(text, input, limits)))
}

#[test]
fn paths_and_constants_are_told() {
    let input = json!({
        "a": {"b": {"c": "deep"}, "n": null, "list": [1, 2.0, {"x": 1.50}]},
        "text": "t", "whole": 3.0, "big": 18_446_744_073_709_551_615_u64, "small": -0.0,
    });
    for text in [
        ".a",
        ".a.b.c",
        ".a?.b",
        ".a[\"b\"]",
        ".\"a\".b",
        ".a.n.c.d",
        ".missing.x",
        ".a.list",
        ".text",
        ".whole",
        ".big",
        ".small",
        "\"x\"",
        "'x'",
        "true",
        "false",
        "(.a.b)",
    ] {
        let (told, ran) = both(text, &input, &Limits::default());
        assert_eq!(told, Some(ran), "{text}");
    }
}

#[test]
fn what_has_to_be_run_is_not_told() {
    let input = json!({"a": {"b": "text"}, "list": [{"b": 1}], "number": 1});
    for text in [
        ".",
        ".a.b.c",
        ".list.b",
        ".number.x",
        ".a[0]",
        ".list[0]",
        ".a[]",
        ".a | .b",
        ".a.b?.c",
        "null",
        "1",
        ".a, .b",
        "def true: 1; true",
        "\"\\(.a)\"",
        ".a == 1",
        "..",
        ".[\"a\", \"b\"]",
        "not",
        "@text \"x\"",
        ".a as $x | $x",
        "[.a]",
        "{a}",
        "-1",
        "$ENV.REGION",
        ".list[1:]",
    ] {
        let (told, _) = both(text, &input, &Limits::default());
        assert_eq!(told, None, "{text}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits {
        output_bytes: 64,
        nesting: 2,
        ..Limits::default()
    };
    let input = json!({
        "long": "x".repeat(100), "fits": "x".repeat(20), "list": vec![0; 100], "deep": [[[1]]],
    });
    for text in [".long", ".fits", ".list", ".deep"] {
        let (told, ran) = both(text, &input, &limits);
        assert!(told.is_none_or(|told| told == ran), "{text}: {ran}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |part| {
        let entries = prop::collection::vec(("[ab]", part.clone()), 0..3);
        prop_oneof![
            prop::collection::vec(part, 0..3).prop_map(Value::Array),
            entries.prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_else_is_told_of_any_value(path in "(\\.[ab]\\??){1,4}", a in value(), b in value()) {
        let (told, ran) = both(&path, &json!({"a": a, "b": b}), &Limits::default());
        prop_assert!(told.as_ref().is_none_or(|told| *told == ran), "{path}: {told:?}, not {ran}");
    }
}
