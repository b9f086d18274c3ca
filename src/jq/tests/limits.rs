//! Whatever an expression does, it ends, and the process lives on.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

/// Small amounts: what is tested is that they are held, in a build that is
/// not optimised.
fn tight() -> Limits {
    Limits {
        steps: 100_000,
        time: Duration::from_secs(1),
        ..Limits::default()
    }
}

#[track_caller]
fn hits_a_limit(text: &str) {
    let outcome = run(text, &json!([1, [2], {"a": 3}]), &tight());
    assert!(
        matches!(outcome, Err(RunError::Limit(_))),
        "{text}: {outcome:?}"
    );
}

#[track_caller]
fn fails(text: &str) {
    let outcome = run(text, &Value::Null, &tight());
    assert!(
        matches!(outcome, Err(RunError::Failed(_))),
        "{text}: {outcome:?}"
    );
}

#[test]
fn endless_loops_end() {
    for text in [
        "[range(1e9)]",
        "last(range(1e12))",
        "[repeat(1)]",
        "last(limit(1e12; repeat(1)))",
        "[recurse(.)]",
        "[while(true; .)]",
        "until(false; .)",
        "def f: f; f",
        "def f: ., f; last(f)",
        "def f($x): f($x + 1); f(0)",
        "def f(g): f(g, g); f(1)",
        "def f(g; $n): if $n > 1e9 then 1 else f(g | .; $n + 1) end; f(1; 0)",
        "label $out | def f: f; f",
        "[limit(1e9; repeat(\"x\"))]",
        "reduce range(1e9) as $i (0; . + 1)",
        "last(foreach range(1e9) as $i (0; . + 1))",
        "nth(1e12; repeat(1))",
        "last(skip(1e12; repeat(1)))",
        "isempty(repeat(empty))",
        "any(repeat(false); .)",
        "[.[] | repeat(.)]",
        "[paths | repeat(.)]",
        "[splits(\"a\")?, repeat(1)]",
    ] {
        hits_a_limit(text);
    }
}

#[test]
fn deep_recursion_ends_before_the_stack_does() {
    for text in [
        "def f: 1 + f; f",
        "def f: f | f; f",
        "def f: [f]; f",
        "def f: {a: f}; f",
        "def f: \"\\(f)\"; f",
        "def f: if f then 1 else 2 end; f",
        "def f: try f catch f | f; f",
        "def f(g): 1 + f(g + 1); f(1)",
        "def f(g): if g > 1e9 then g else f(g + 1) end; f(0)",
        "null | first(path(last(repeat(.a))))",
        "null | last(path(recurse(.a)))",
    ] {
        hits_a_limit(text);
    }
    // Left to the steps alone, these would need a far deeper stack.
    let many = Limits {
        time: Duration::from_mins(1),
        ..Limits::default()
    };
    let outcome = run("def f: 1 + f; f", &Value::Null, &many);
    assert_eq!(outcome, Err(RunError::Limit(fuel::STACK)));
}

#[test]
fn products_of_lists_end() {
    for text in [
        "[range(1000)] as $a | [$a[] as $x | $a[] as $y | $a[] as $z | 1]",
        "[range(1000)] as $a | [$a[] + $a[] + $a[]]",
        "[range(1000)] as $a | [{a: $a[], b: $a[], c: $a[]}]",
        "[range(1000)] as $a | [\"\\($a[])\\($a[])\\($a[])\"]",
        "[range(1000)] as $a | [[$a[]] | .[$a[]], .[$a[]:$a[]]]",
        "[range(20)] | [combinations(20)]",
        "[range(100)] | [., ., ., ., .] | [combinations]",
    ] {
        hits_a_limit(text);
    }
    let doubled = vec!["(1, 1)"; 60].join(" | ");
    hits_a_limit(&format!("[{doubled}]"));
}

#[test]
fn memory_is_not_exhausted() {
    for text in [
        "\"x\" * 1e10",
        "\"x\" * 1e300",
        "1e18 * \"abc\"",
        "reduce range(1e9) as $i (\"\"; . + \"x\")",
        "reduce range(60) as $i (\"x\"; . + .)",
        "reduce range(60) as $i ([1]; . + .)",
        ".[1e9] = 1",
        "null | .[1e9] = 1",
        "null | setpath([1e9]; 1)",
        "null | .[1e18] |= 1",
        "(\"x\" * 1e8) | explode",
        "(\"x\" * 1e8) | [., ., .] | join(\",\")",
        "(\"x\" * 1e8) | [., ., .] | add",
        "(\"x\" * 1e8) | ascii_downcase",
        "(\"x\" * 1e8) | @sh",
        "(\"x\" * 1e8) | @uri",
        "(\"x\" * 1e8) | @html",
        "(\"x\" * 1e8) | @base64",
        "(\"x\" * 1e8) | . / \"x\"",
        "(\"x\" * 1e8) | . / \"\"",
        "(\"x\" * 1e8) | \"\\(.)\\(.)\\(.)\"",
        "[range(1e4)] | [limit(1e4; repeat(. + [1]))]",
        "[range(1e4)] | [limit(1e4; repeat(.[1:]))]",
        "null | [path(repeat(.a))] | length",
        "null | [limit(1e5; path(recurse(.a)))]",
    ] {
        hits_a_limit(text);
    }
}

#[test]
fn values_are_not_nested_too_deeply() {
    for text in [
        "reduce range(1e5) as $i (0; [.])",
        "reduce range(1e5) as $i (0; {a: .})",
        "reduce range(1e5) as $i (0; [[[[[[[[[[.]]]]]]]]]])",
        "null | setpath([range(5000) | 0]; 1)",
        "null | setpath([range(5000) | \"a\"]; 1)",
        "reduce range(3000) as $i (null; {b: {a: .}})",
    ] {
        hits_a_limit(text);
    }
    fails("reduce range(1e3) as $i (\"\"; \"[\" + .) | fromjson");
    // A value that stays shallow is not mistaken for a deep one.
    let text = "reduce range(5000) as $i ({l: {v: 1}, all: []}; .l as $l | {all: [$l], l: {v: $l.v}}) | .l.v";
    assert_eq!(
        run(text, &Value::Null, &Limits::default()),
        Ok(Some(json!(1)))
    );
}

/// Shared parts make a value that takes no memory and has no end.
#[test]
fn endless_values_are_not_walked_to_their_end() {
    let endless = "reduce range(100) as $i (0; [., .])";
    for text in [
        ". == .",
        "tojson",
        "tostring",
        "[..]",
        "flatten",
        "[., .] | unique",
        "[., .] | sort",
        "contains([.])",
        "[., .] - [.]",
        "@text",
        "@json",
        "map(tojson)",
        "walk(.)",
        "[leaf_paths]",
        "[tostream]",
        "group_by(.)",
        "del(..)",
    ] {
        hits_a_limit(&format!("{endless} | {text}"));
    }
    let output = run(endless, &Value::Null, &tight());
    assert!(matches!(output, Err(RunError::Limit(_))), "{output:?}");
    assert_eq!(
        run(&format!("{endless} | length"), &Value::Null, &tight()),
        Ok(Some(json!(2)))
    );
}

#[test]
fn a_limit_cannot_be_caught() {
    for text in [
        "try last(range(1e12)) catch 1",
        "(last(range(1e12)))? // 5",
        "[.[] | (def f: f; f)?]",
        "first(try (\"x\" * 1e10) catch \"caught\")",
        "(\"x\" * 1e10)? // \"alternative\"",
        "[\"x\" * 1e10 | length]?",
        "label $out | try (def f: 1 + f; f) catch break $out",
        "isempty(\"x\" * 1e10)",
        "try error(\"x\" * 1e10) catch .",
    ] {
        hits_a_limit(text);
    }
}

#[test]
fn patterns_that_backtrack_without_end_are_errors() {
    fails("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" | test(\"^(a|aa)+\\\\1!$\")");
    fails("(\"a\" * 3000) | test(\"(?=a*)(a*a*)*(?!a)b\\\\1\")");
    fails("\"a\" | test(\"(((((\")");
    fails("\"a\" | test(\"(?:a{1000}){1000}(?:b{1000}){1000}\")");
    hits_a_limit("(\"x\" * 2e6) | gsub(\"x\"; \"yy\")");
    hits_a_limit("(\"x\" * 2e6) | [splits(\"x\")]");
}

#[test]
fn the_world_outside_stays_there() {
    for text in [
        "input",
        "inputs",
        "[inputs]",
        "halt",
        "halt_error",
        "halt_error(1)",
        "\"x\" | halt_error",
    ] {
        fails(text);
    }
    let null = Value::Null;
    for text in ["debug", "stderr", "debug(\"x\")", "input_filename"] {
        assert_eq!(run(text, &null, &tight()), Ok(Some(null.clone())), "{text}");
    }
    for text in [
        "import \"a\" as a; 1",
        "include \"a\"; 1",
        "import \"a\" as $a; 1",
        "a::b",
        "$__prog_args",
        "get_search_list",
        "input_line",
        "modulemeta",
        "\"a\" | ltrimstr(\"a\"; 1)",
        "system",
        "$__loc",
    ] {
        assert!(jq().compile(text).is_err(), "{text}");
    }
}

#[test]
fn texts_nested_beyond_all_measure_are_refused() {
    let times = |text: &str, times: usize| text.repeat(times);
    for text in [
        times("[", 100_000),
        format!("{}{}", times("[", 20_000), times("]", 20_000)),
        format!("{}1{}", times("(", 20_000), times(")", 20_000)),
        format!("{}1{}", times("{a:", 10_000), times("}", 10_000)),
        format!("{}1{}", times("\"\\(", 5_000), times(")\"", 5_000)),
        format!("1{}", times("+1", 30_000)),
        format!("1{}", times("|1", 30_000)),
        format!("1{}", times(" as $x|1", 5_000)),
        format!(".{}", times("[0]", 20_000)),
        format!(".a{}", times(".a", 20_000)),
        format!("{}1", times("-", 30_000)),
        format!("{}1", times("try ", 10_000)),
        format!("{}1{}", times("if 1 then ", 5_000), times(" end", 5_000)),
        format!("if 1 then 1{} end", times(" elif 1 then 1", 4_000)),
        format!("{}1", times("def f:1;", 7_000)),
        format!("{}1{}", times("def f:", 8_000), times(";1", 8_000)),
        format!("{{a:1{}}}", times(",a:1", 15_000)),
        format!("\"{}\"", times("\\n", 30_000)),
        format!(". as {}$x{}|1", times("[", 10_000), times("]", 10_000)),
        times("1", 100_000),
        times("(", 300),
        times("reduce ", 5_000),
        times("label $x|", 5_000),
    ] {
        let short: String = text.chars().take(20).collect();
        let outcome = jq().compile(&text);
        assert!(outcome.is_err(), "{short}");
        assert!(outcome.unwrap_err().message.len() < 120, "{short}");
    }
}

#[test]
fn texts_as_long_as_people_write_are_not() {
    let names: Vec<String> = (0..2_000).map(|name| format!("\"n{name}\"")).collect();
    let names = names.join(", ");
    assert_eq!(
        run(&format!("IN({names})"), &json!("n1999"), &Limits::default()),
        Ok(Some(json!(true)))
    );
    let sum = format!("0{}", " + 1".repeat(300));
    assert_eq!(
        run(&sum, &Value::Null, &Limits::default()),
        Ok(Some(json!(300)))
    );
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert!(run(&nested, &Value::Null, &Limits::default()).is_ok());
}

#[test]
fn a_filter_run_on_a_small_stack_ends_as_well() {
    let filter = jq().compile("def f: 1 + f; f").unwrap();
    assert_eq!(filter.first(&Val::Null), Err(RunError::Limit(fuel::STACK)));
    let filter = jq().compile("[.a.b, 1] | map(. + 1) | add").unwrap();
    assert!(filter.first(&Val::Null).is_ok());
    let filter = jq().compile(&format!("1{}", " + 1".repeat(500))).unwrap();
    assert_eq!(filter.first(&Val::Null), Err(RunError::Limit(fuel::STACK)));
    assert!(on_large_stack_blocking(|| filter.first(&Val::Null).is_ok()).unwrap());
}

#[test]
fn messages_show_the_beginning_of_a_value_only() {
    let input = json!({"secret": "x".repeat(5_000), "list": vec!["line\nbreak"; 500]});
    for text in [
        ".list.a",
        ".secret.a",
        ". + 1",
        "error(.)",
        ".list | join(\",\") | error",
        "tonumber",
        "{(.list): 1}",
    ] {
        let Err(RunError::Failed(message)) = run(text, &input, &Limits::default()) else {
            panic!("{text} fails");
        };
        assert!(message.chars().count() <= 200, "{text}: {message}");
        assert!(!message.contains('\n'), "{text}: {message}");
    }
}
