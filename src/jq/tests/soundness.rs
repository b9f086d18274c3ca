//! What an expression is said not to read has no influence on what it yields.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::excerpt::Excerpt;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KEYS[..])
}

/// Puts parts in the place of `A`, `B` and `K`.
fn filled(shape: &str, parts: &[String; 2], key: &str) -> String {
    shape
        .replace('K', key)
        .replace('A', &format!("({})", parts[0]))
        .replace('B', &format!("({})", parts[1]))
}

const SHAPES: &[&str] = &[
    "A | B",
    "A, B",
    "A // B",
    "A + B",
    "A * B",
    "A == B",
    "A == \"x\"",
    "A and B",
    "A as $v | B, $v.K",
    "A as {K: $v} | $v | B",
    "A as [$v] | [$v, B]",
    "if A then B else .K end",
    "if A then B end",
    "try A catch B",
    "A?",
    "reduce A as $v (.K; [., $v, B])",
    "foreach A as $v (.; .K; [$v, B])",
    "label $l | A, break $l",
    "def f: A; f | f",
    "def f(g): g | B; f(A)",
    "def f($v): $v.K | B; f(A)",
    "[A, B]",
    "{K: A, d: B}",
    "{K}",
    "{(A | tostring): B}",
    "\"x\\(A)\"",
    "A[]?",
    "A[0]",
    "A[1:]",
    "A[B]?",
    "A.K?",
    "A | length",
    "A | type",
    "A | keys",
    "A | not",
    "A | has(\"K\")",
    "A | map(B)",
    "A | map_values(B)",
    "A | map(select(B))",
    "A | sort_by(B)",
    "A | group_by(B)",
    "A | unique_by(B)",
    "A | min_by(B)",
    "A | INDEX(B)",
    "A | to_entries",
    "A | with_entries(.value |= B)",
    "A | from_entries",
    "A | walk(B)",
    "A | flatten",
    "A | first, last",
    "A | add",
    "A | any",
    "A | tojson",
    "A | toarray",
    "A | values",
    "A | del(.K)",
    "A | del(.K, .a.b) | B",
    "A | del(.[] | select(B))",
    "A | .K = B",
    "A | .K.a = 1 | B",
    "A | .K |= B",
    "A | .K += 1",
    "A | .K //= B",
    "A | getpath([\"K\", \"a\"])",
    "A | setpath([\"K\"]; B)",
    "A | pick(.k)",
    "A | paths",
    "A | path(B)",
    "A | recurse(.k?)",
    "A | ..",
    "A | IN(B)",
    "IN(A; B)",
    "A | contains(B)",
    "A | inside(B)",
    "A | index(B)",
    "A | join(\",\")",
    "A | select(B)",
    "A | error",
    "any(A; B)",
    "first(A)",
    "limit(1; A)",
    "isempty(A)",
    "path(A)",
    "env | A",
    "input_line_number",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => key().prop_map(|key| format!(".{key}")),
        2 => (key(), key()).prop_map(|(outer, inner)| format!(".{outer}.{inner}?")),
        2 => (key(), key()).prop_map(|(outer, inner)| format!(".{outer}[]?.{inner}?")),
        1 => Just(".".to_owned()),
        1 => Just("null".to_owned()),
        1 => Just("\"x\"".to_owned()),
    ];
    leaf.prop_recursive(3, 8, 2, |part| {
        let shape = prop::sample::select(SHAPES);
        (shape, part.clone(), part, key())
            .prop_map(|(shape, first, second, key)| filled(shape, &[first, second], key))
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!(false)),
        Just(json!(1)),
        Just(json!("x")),
    ];
    leaf.prop_recursive(2, 12, 3, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 0..3).prop_map(Value::Array),
            object(part),
        ]
    })
}

fn object(part: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), part), 0..4).prop_map(|entries| {
        let entries = entries
            .into_iter()
            .map(|(key, part)| (key.to_owned(), part));
        Value::Object(entries.collect())
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let below =
        prop_oneof![3 => key().prop_map(|key| Step::Key(key.into())), 1 => Just(Step::Each)];
    (key(), prop::collection::vec(below, 0..3)).prop_map(|(first, mut path)| {
        path.insert(0, Step::Key(first.into()));
        path
    })
}

/// Puts `new` (or nothing) at a path, wherever it leads.
fn change(value: &mut Value, path: &[Step], new: Option<&Value>) {
    match (value, path) {
        (Value::Object(entries), [Step::Key(key)]) => {
            entries.shift_remove(key.as_ref());
            entries.extend(new.map(|new| (key.to_string(), new.clone())));
        }
        (Value::Array(items), [Step::Each]) => {
            items.fill_with(|| new.cloned().unwrap_or_default());
        }
        (Value::Object(entries), [Step::Key(key), rest @ ..]) => {
            if let Some(part) = entries.get_mut(key.as_ref()) {
                change(part, rest, new);
            }
        }
        (Value::Array(items), [Step::Each, rest @ ..]) => {
            for item in items {
                change(item, rest, new);
            }
        }
        _ => {}
    }
}

/// The first output, where failing in whatever way is one outcome; none when
/// a limit was hit.
fn outcome(filter: &Filter, input: &Value, limits: &Limits) -> Option<Result<Option<Value>, ()>> {
    let output = filter.first(&to_val(input)).and_then(|output| {
        let output = output.map(|output| from_val(&output, limits));
        output.transpose()
    });
    match output {
        Ok(output) => Some(Ok(output.map(without_order))),
        Err(RunError::Failed(_)) => Some(Err(())),
        Err(RunError::Limit(_)) => None,
    }
}

/// The value, in which texts that are JSON are what they say: in which order keys were
/// put in shows in a text, and is nothing that is read.
fn without_order(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Value::Array(items) => items.into_iter().map(without_order).collect(),
        Value::Object(entries) => {
            let entries = entries.into_iter();
            let entries = entries.map(|(key, value)| (key, without_order(value)));
            Value::Object(entries.collect())
        }
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_not_read_changes_nothing(
        text in expression(),
        inputs in prop::collection::vec(object(value()), 2),
        paths in prop::collection::vec(steps(), 6),
        new in prop::option::of(value()),
    ) {
        let limits = Limits { steps: 2_000, ..Limits::default() };
        let filter = Jq::new(BTreeMap::new(), limits.clone()).compile(&text);
        let filter = filter.map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let unread = paths.iter().filter(|path| !filter.may_read(path));
        let differing = on_large_stack_blocking(|| {
            for path in unread {
                for input in &inputs {
                    let mut changed = input.clone();
                    change(&mut changed, path, new.as_ref());
                    let before = outcome(&filter, input, &limits);
                    let after = outcome(&filter, &changed, &limits);
                    if before.is_some() && after.is_some() && before != after {
                        return Some(format!("{path:?} of {input}: {before:?}, then {after:?}"));
                    }
                }
            }
            None
        });
        prop_assert_eq!(differing.unwrap(), None, "{}", text);
    }
    #[test]
    fn what_is_read_is_enough(
        text in expression(),
        inputs in prop::collection::vec(object(value()), 3),
    ) {
        let limits = Limits { steps: 2_000, ..Limits::default() };
        let filter = Jq::new(BTreeMap::new(), limits.clone()).compile(&text);
        let filter = filter.map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let excerpt = Excerpt::of(filter.reads());
        let differing = on_large_stack_blocking(|| {
            inputs.iter().find_map(|input| {
                let read = excerpt.taken_from(input);
                let (before, after) = (outcome(&filter, input, &limits), outcome(&filter, &read, &limits));
                let differs = before.is_some() && after.is_some() && before != after;
                differs.then(|| format!("{input}: {before:?}; of {read}: {after:?}"))
            })
        });
        prop_assert_eq!(differing.unwrap(), None, "{}", text);
    }
}
