//! A path is `a.b[].c`; each expression names what it reads and what it does
//! not.

use super::*;
use crate::jq::parse;

fn steps(path: &str) -> Vec<Step> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .flat_map(|part| {
            let name = part.trim_end_matches("[]");
            let key = (!name.is_empty()).then(|| Step::Key(name.to_owned().into()));
            let each = (name.len() < part.len()).then_some(Step::Each);
            key.into_iter().chain(each)
        })
        .collect()
}

#[track_caller]
fn check(expression: &str, read: &[&str], unread: &[&str]) {
    let term = parse::expression(expression).unwrap();
    let reads = Reads::of(&term);
    for path in read {
        assert!(reads.may_read(&steps(path)), "`{expression}` reads {path}");
    }
    for path in unread {
        assert!(
            !reads.may_read(&steps(path)),
            "`{expression}` does not read {path}"
        );
    }
}

#[test]
fn paths_read_themselves_and_what_is_below() {
    check(".a.b", &["a", "a.b", "a.b.c", "a.b[]"], &["b", "a.c", "ab"]);
    check(".", &["a", "a.b", "[]"], &[]);
    check("\"constant\"", &[], &["a"]);
    check("\"\\(.a)\"", &["a.x"], &["b"]);
    check("{a: .b, c}", &["b.x", "c.x"], &["a"]);
    check("[.a, .b]", &["a", "b"], &["c"]);
    check(".a[0].b", &["a", "a[].b"], &["a[].c"]);
    check(".a[1:3] | .[0].b", &["a[].b"], &["a[].c"]);
    check(".[\"a\"]", &["a"], &["b"]);
    check("..", &["a.b"], &[]);
    check(".a?.b?", &["a.b"], &["a.c"]);
}

#[test]
fn elements_are_told_apart_from_their_fields() {
    let email = "users[].__email";
    check(".users[].summary", &["users", "users[].summary"], &[email]);
    check(".users", &[email, "users[]"], &["teams"]);
    check(
        "[.users[] | select(has(\"__email\")) | .__email]",
        &[email],
        &["users[].id"],
    );
    check(".users | map(.id)", &["users[].id"], &[email]);
    check(".users | length", &["users"], &[email]);
    check("length", &["users"], &[email]);
    check(".users | map(length)", &[email], &["teams"]);
    check(
        ".users | map(select(.id == 1) | .name)",
        &["users[].id", "users[].name"],
        &[email],
    );
    check(".users | map(has(\"__email\"))", &[email], &["users[].id"]);
    check(".users | map(keys)", &[email, "users[].id"], &[]);
    check(".users | tojson", &[email], &[]);
    check(".users[] | {id, n: .name}", &["users[].id"], &[email]);
    check("[.users[]?.id] | join(\",\")", &["users[].id"], &[email]);
}

#[test]
fn functions_over_arrays_read_what_their_arguments_read() {
    for f in ["sort_by", "group_by", "unique_by", "min_by", "max_by"] {
        let expression = format!(".a | {f}(.x) | type");
        check(&expression, &["a", "a[].x"], &["a[].y", "b"]);
    }
    check(".a | sort_by(.x) | .[0].y", &["a[].x", "a[].y"], &["a[].z"]);
    check(".a | sort_by(.x) | first | .y", &["a[].y"], &["a[].z"]);
    check(
        ".a | group_by(.x) | map(.[0].y)",
        &["a[].x", "a[].y"],
        &["a[].z"],
    );
    check(".a | max_by(.x).y", &["a[].x", "a[].y"], &["a[].z"]);
    check(".a | sort_by(.x) | length", &["a[].x"], &["a[].y"]);
    check(".a | sort | length", &["a[].z"], &["b"]);
    check("any(.a[]; .x)", &["a[].x"], &["a[].y"]);
    check(".a | any(.x)", &["a[].x"], &["a[].y"]);
    check(".a | all(.x == 1)", &["a[].x"], &["a[].y"]);
    check(
        "first(.a[] | select(.x)) | .y",
        &["a[].x", "a[].y"],
        &["a[].z"],
    );
    check("[limit(2; .a[].x)]", &["a[].x"], &["a[].y"]);
    check(".a | INDEX(.x) | .k.y", &["a[].x", "a[].y"], &["a[].z"]);
    check(".a | unknown_to_us(.x)", &["a[].y"], &["b"]);
    check(".a.b | IN(\"x\", \"y\")", &["a.b"], &["a.c", "a.b.c"]);
    check("[.a[] | .x + .y] | add", &["a[].x", "a[].y"], &["a[].z"]);
    check(".a | last | .x", &["a[].x"], &["a[].y"]);
}

#[test]
fn objects_taken_apart_as_a_whole_are_read_as_a_whole() {
    check("keys", &["a", "b"], &["a.b"]);
    check("keys_unsorted | length", &["a"], &["a.b"]);
    check("to_entries", &["a.b"], &[]);
    check(".x | with_entries(.value |= 1)", &["x.a"], &["y"]);
    check(".[.name]", &["a", "name"], &[]);
    check(". as $o | \"k\" as $k | $o[$k]", &["a"], &[]);
    check(".a[.k]", &["a.b", "k"], &["c"]);
    check("has(\"a\")", &["a"], &["b"]);
    check("type", &[], &["a"]);
    check("getpath([\"a\", \"b\"])", &["a.b"], &["a.c", "c"]);
    check("pick(.a.b)", &["a.b"], &["c"]);
}

#[test]
fn conditions_and_comparisons_are_glances() {
    check(
        "if .a then .b else .c end",
        &["a", "b.x", "c"],
        &["a.x", "d"],
    );
    check("if .a then .b end", &["d"], &[]);
    check(".a // .b", &["a.x", "b.x"], &["c"]);
    check(".a == null", &["a"], &["a.x", "b"]);
    check(".a == \"x\" and .b", &["a", "b"], &["a.x", "b.x"]);
    check(".a == .b", &["a.x", "b.x"], &["c"]);
    check("try .a catch .b", &["a"], &["b"]);
    check("(.a | not) or (.b > 3)", &["a", "b"], &["a.x", "c"]);
    check("select(.a) | .b", &["a", "b.x"], &["a.x", "c"]);
}

#[test]
fn variables_carry_what_they_were_bound_to() {
    check(". as $x | $x.a", &["a"], &["b"]);
    check(".a as $x | .b | [., $x.c]", &["a.c", "b.x"], &["a.d"]);
    check(". as {a: $x, $b} | $x.c", &["a.c", "b"], &["a.d", "c"]);
    check(".l as [$x, $y] | $x.c", &["l[].c"], &["l[].d"]);
    check(
        "reduce .l[] as $x (0; . + $x.n)",
        &["l[].n"],
        &["l[].m", "k"],
    );
    check(
        "reduce .l[] as $x ({}; .[$x.k] = $x.v)",
        &["l[].k", "l[].v"],
        &["l[].m"],
    );
    check(
        "[foreach .l[] as $x (0; . + 1; [$x.k, .])]",
        &["l[].k"],
        &["l[].m"],
    );
    check(
        "reduce range(9) as $i (.; .next)",
        &["a", "next.next.next.next.next.next.x"],
        &[],
    );
}

#[test]
fn definitions_are_followed_and_recursion_gives_up() {
    check("def f: .a; f", &["a"], &["b"]);
    check("def f(g): .a | g; f(.b)", &["a.b"], &["b"]);
    check("def f($x): $x.b; f(.a)", &["a.b"], &["a.c", "c"]);
    check("def f($x): x.b; f(.a)", &["a.b"], &["a.c", "c"]);
    check("def f: def g: .x; .a | g; f", &["a.x"], &["x", "a.y"]);
    check("def map(f): .z; map(.a)", &["z"], &["a"]);
    check("def f: .a, (.next | f); f", &["a", "b"], &[]);
    check("recurse(.next) | .a", &["a", "b"], &[]);
}

#[test]
fn assignments_hand_on_everything_but_what_they_replace() {
    check(".a = 1", &["b", "b.c"], &["a", "a.x"]);
    check(".a = .c.d", &["b", "c.d"], &["a"]);
    check("del(.a)", &["b", "b.c"], &["a", "a.x"]);
    check("del(.a, .b.c)", &["b", "b.d", "e"], &["a", "b.c"]);
    check("del(.a) | .b", &["b"], &["a", "c"]);
    check("del(.a) | .a.b", &[], &["a.b", "c"]);
    check("del(.a[0])", &["a", "b"], &[]);
    check(".a |= (. | type)", &["a", "b.c"], &["a.x"]);
    check(".a += 1", &["a", "b"], &[]);
    check("del(.a) | .[]", &["b"], &[]);
    // Neither can be done to a string under `a`.
    check(".a.b = 1 | .c", &["a", "c"], &["a.b", "b"]);
    check("del(.a.b) | .c", &["a", "c"], &["a.b", "b"]);
}

#[test]
fn shadowed_names_mean_what_stands_nearest() {
    check(
        ".a as $x | (.b as $x | $x.c), $x.d",
        &["b.c", "a.d"],
        &["a.c", "b.d"],
    );
    check("def f: .a; def g: f; def f: .b; g", &["a"], &["b"]);
}
