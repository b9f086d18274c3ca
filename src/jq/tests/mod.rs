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

#[test]
#[ignore = "by hand"]
fn scratch() {
    let text = std::fs::read_to_string("scratch.txt").unwrap();
    let jq = Jq::new(
        BTreeMap::from([("A".into(), "b".into())]),
        Limits::default(),
    );
    for line in text.lines() {
        let (input, text) = line.split_once('\t').unwrap_or(("null", line));
        let start = std::time::Instant::now();
        let outcome = match jq.compile(text) {
            Err(error) => format!("COMPILE {error} {:?} {:?}", error.span, error.hint),
            Ok(filter) => {
                let input = serde_json::from_str(input).unwrap();
                let shown = on_large_stack_blocking(|| match filter.first(&to_val(&input)) {
                    Ok(Some(value)) => from_val(&value, &Limits::default())
                        .map_or_else(|e| format!("OUT {e}"), |v| v.to_string()),
                    Ok(None) => "NONE".to_owned(),
                    Err(error) => format!("{error:?}"),
                });
                shown.unwrap_or_else(|p| p.to_string())
            }
        };
        println!(
            "{input}\t{text}\t{}\t{:?}",
            outcome.chars().take(150).collect::<String>(),
            start.elapsed()
        );
    }
}
