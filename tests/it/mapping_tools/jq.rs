//! `portolan jq`: one expression, run as mappings run it.

use serde_json::{Value, json};

use super::{fed, run, values};

#[tokio::test]
async fn each_input_gives_the_first_output_or_null() {
    let input = "{\"a\":[1,2]}\n{\"a\":[]} {\"a\":[{\"b\": null}]}";
    let outcome = run(&["jq", ".a[]"], input).await.expect_code(0);
    assert_eq!(outcome.stdout, "1\nnull\n{\"b\":null}\n");
    assert_eq!(outcome.stderr, "");
    let outcome = run(&["jq", "."], "").await.expect_code(0);
    assert_eq!(outcome.stdout, "");
}

#[tokio::test]
async fn a_file_is_read_as_standard_input_is() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in.json"), "[1, 2]").unwrap();
    let outcome = fed(directory.path(), &["jq", "add", "in.json"], &[], "").await;
    assert_eq!(outcome.expect_code(0).stdout, "3\n");
    let outcome = fed(directory.path(), &["jq", "add", "-"], &[], "[4, 5]").await;
    assert_eq!(outcome.expect_code(0).stdout, "9\n");
    let outcome = fed(directory.path(), &["jq", ".", "none.json"], &[], "").await;
    let stderr = outcome.expect_code(1).stderr;
    assert!(
        stderr.starts_with("error: cannot read none.json: "),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_failure_is_told_with_the_part_to_blame_and_the_rest_goes_on() {
    let input = r#"{"a":null} {"a":[{"b":1}]}"#;
    let outcome = run(&["jq", ".a | map(.b) | add"], input).await;
    let outcome = outcome.expect_code(1);
    assert_eq!(outcome.stdout, "1\n");
    insta::assert_snapshot!(outcome.stderr, @"
    error: the filter failed on value 1 of the input
          .a | map(.b) | add
               ^^^^^^^
        cannot iterate over null
    ");
}

#[tokio::test]
async fn a_filter_that_does_not_compile_is_underlined() {
    let outcome = run(&["jq", ".a | tostrin"], "1").await.expect_code(2);
    assert_eq!(outcome.stdout, "");
    insta::assert_snapshot!(outcome.stderr, @"
    error: the filter does not compile
          .a | tostrin
               ^^^^^^^
        undefined function `tostrin`; did you mean `tostring`?
    ");
}

#[tokio::test]
async fn input_that_is_no_json_is_underlined() {
    let outcome = run(&["jq", "."], "{\"a\": 1}\n{\"b\": nope}\n3").await;
    let outcome = outcome.expect_code(1);
    assert_eq!(outcome.stdout, "{\"a\":1}\n");
    insta::assert_snapshot!(outcome.stderr, @r#"
    error: standard input:2:8 is not JSON
          {"b": nope}
                 ^
        expected ident
    "#);
}

#[tokio::test]
async fn quotes_limits_and_environment_are_those_of_mappings() {
    let outcome = run(&["jq", ".status == 'open'"], r#"{"status":"open"}"#).await;
    assert_eq!(outcome.expect_code(0).stdout, "true\n");

    let outcome = run(&["jq", "[repeat(.)]"], "1").await.expect_code(1);
    assert!(outcome.stderr.contains("stopped: "), "{}", outcome.stderr);

    let directory = tempfile::tempdir().unwrap();
    let seen = async |environment: &[(&str, &str)]| {
        let outcome = fed(directory.path(), &["jq", "env"], environment, "null").await;
        let seen: Value = serde_json::from_str(&outcome.expect_code(0).stdout).unwrap();
        seen
    };
    let environment = [
        ("REGION", "eu"),
        ("STAGE", "live"),
        ("MY_TOKEN", "t"),
        ("COPY", "s3cr3t-value"),
        ("OCEAN__PORT__CLIENT_SECRET", "s3cr3t-value"),
    ];
    assert_eq!(
        seen(&environment).await,
        json!({"REGION": "eu", "STAGE": "live"})
    );
    let allow = ("OCEAN__JQ_ENVIRONMENT_ALLOW_LIST", r#"["REGION"]"#);
    let narrowed = [&environment[..], &[allow]].concat();
    assert_eq!(seen(&narrowed).await, json!({"REGION": "eu"}));
    let off = ("OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS", "false");
    assert_eq!(seen(&[environment[0], off]).await, json!({}));

    let wrong = [("OCEAN__ALLOW_ENVIRONMENT_VARIABLES_JQ_ACCESS", "maybe")];
    let outcome = fed(directory.path(), &["jq", "."], &wrong, "1").await;
    let stderr = outcome.expect_code(2).stderr;
    assert!(stderr.contains("found     `maybe`"), "{stderr}");
    // What else is wrong with the settings is no matter here.
    let wrong = [("OCEAN__CLIENT_TIMEOUT", "1m")];
    let outcome = fed(directory.path(), &["jq", "."], &wrong, "1").await;
    assert_eq!(outcome.expect_code(0).stderr, "");
}

#[tokio::test]
async fn every_line_has_its_answer_whatever_is_wrong_with_it() {
    let deep = "[".repeat(5_000);
    let lines = [
        r#"{"filter": ".a", "input": {"a": [1, "x"]}}"#,
        r#"{"filter": "empty", "input": 1}"#,
        r#"{"filter": "."}"#,
        "",
        "no json",
        r#"{"filter": ".a |", "input": 1}"#,
        r#"{"filter": ".[0]", "input": "text"}"#,
        r#"{"filter": "def f: 1 + f; f"}"#,
        r#"{"filter": "\"x\" * 10000000000"}"#,
        r#"{"filter": "halt"}"#,
        r#"{"filter": 3}"#,
        r#"{"fliter": "."}"#,
        deep.as_str(),
        r#"{"filter": "1 + 1"}"#,
    ];
    let outcome = run(&["jq", "--lines"], &lines.join("\n"))
        .await
        .expect_code(0);
    assert_eq!(outcome.stderr, "");
    let answers = values(&outcome.stdout);
    assert_eq!(answers.len(), lines.len());
    assert_eq!(answers[0], json!({"value": [1, "x"]}));
    assert_eq!(answers[1], json!({"value": null}));
    assert_eq!(answers[2], json!({"value": null}));
    for (line, answer) in lines.iter().zip(&answers).skip(3).take(10) {
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(
            !error.is_empty() && !error.contains('\n'),
            "{line}: {answer}"
        );
        assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    }
    assert_eq!(answers[13], json!({"value": 2}));
    let error = answers[5]["error"].as_str().unwrap();
    assert!(error.starts_with("does not compile: "), "{error}");
    let error = answers[6]["error"].as_str().unwrap();
    assert!(error.starts_with("failed: cannot index "), "{error}");
}

#[tokio::test]
async fn an_answer_can_be_had_before_the_next_question() {
    use std::process::Stdio;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_portolan"))
        .args(["jq", "--lines"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut asking = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 1..=3 {
        let question = json!({"filter": ". + 1", "input": number});
        let question = format!("{question}\n");
        asking.write_all(question.as_bytes()).await.unwrap();
        let answer = answers.next_line().await.unwrap().unwrap();
        assert_eq!(values(&answer), [json!({"value": number + 1})]);
    }
    drop(asking);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn with_lines_there_is_no_other_filter() {
    let outcome = run(&["jq", "--lines", ".", "file"], "")
        .await
        .expect_code(2);
    assert!(
        outcome.stderr.contains("leave <FILTER> out"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn the_mark_that_begins_a_file_is_no_part_of_its_first_line() {
    let lines = "\u{feff}{\"filter\": \"1 + 1\"}\n\u{feff}{\"filter\": \".\"}\n";
    let outcome = run(&["jq", "--lines"], lines).await.expect_code(0);
    let answers = values(&outcome.stdout);
    assert_eq!(answers[0], json!({"value": 2}));
    assert!(answers[1]["error"].is_string(), "{}", answers[1]);
}
