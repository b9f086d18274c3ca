//! Runs the cases of `conformance.txt`.

use super::*;

#[test]
fn expressions_yield_what_jq_yields() {
    let jq = jq();
    let limits = Limits::default();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for case in include_str!("conformance.txt").split("\n\n") {
        let lines: Vec<&str> = case
            .lines()
            .filter(|line| !line.starts_with("# ") && !line.is_empty())
            .collect();
        let [text, input, expected] = lines[..] else {
            assert!(lines.is_empty(), "not a case: {case}");
            continue;
        };
        cases += 1;
        let input: Value = serde_json::from_str(input).unwrap();
        let filter = match jq.compile(text) {
            Ok(filter) => filter,
            Err(error) => {
                wrong.push(format!("{text} does not compile: {error}"));
                continue;
            }
        };
        let outcome = on_large_stack_blocking(|| match filter.first(&to_val(&input))? {
            Some(output) => from_val(&output, &limits).map(Some),
            None => Ok(None),
        });
        let as_expected = match (outcome.unwrap(), expected) {
            (Err(RunError::Failed(_)), "error") | (Ok(None), "nothing") => None,
            (Ok(Some(output)), json) if serde_json::from_str(json).ok() == Some(output.clone()) => {
                None
            }
            (outcome, _) => Some(outcome),
        };
        if let Some(outcome) = as_expected {
            wrong.push(format!(
                "{input} | {text} gives {outcome:?}, not {expected}"
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(cases > 250, "{cases} cases");
}
