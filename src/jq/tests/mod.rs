//! Tests of the module as a whole.

use super::*;

#[test]
fn an_expression_runs() {
    let jq = Jq::new(BTreeMap::new(), Limits::default());
    let filter = jq.compile(".a.b | map(. + 1)").unwrap();
    let output = on_large_stack_blocking(|| {
        let output = filter.first(&to_val(&serde_json::json!({"a": {"b": [1, 2]}})));
        output.map(|value| from_val(&value.unwrap(), &Limits::default()).unwrap())
    });
    assert_eq!(output, Ok(Ok(serde_json::json!([2, 3]))));
}
