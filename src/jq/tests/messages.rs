//! What the author of a mapping is told.

use super::*;

#[track_caller]
fn problem(text: &str) -> CompileError {
    jq().compile(text).unwrap_err()
}

#[test]
fn messages_name_what_is_wrong_and_where() {
    for (text, message, at) in [
        ("foo", "undefined function `foo`", "foo"),
        (".a | foo(1; 2)", "undefined function `foo/2`", "foo"),
        (
            ".a | selct(.b)",
            "undefined function `selct/1`; did you mean `select`?",
            "selct",
        ),
        ("map", "`map` takes 1 argument(s), not 0", "map"),
        (
            "test(1; 2; 3)",
            "`test` takes 1 or 2 argument(s), not 3",
            "test",
        ),
        ("@yaml", "undefined format `@yaml`", "@yaml"),
        ("$x + 1", "undefined variable `$x`", "$x"),
        ("break $x", "undefined label `$x`", "$x"),
        (".a)", "unexpected `)`", ")"),
        ("(.a", "the `(` is not closed", ""),
        (
            "[.a)",
            "unexpected `)`: the `[` before it is not closed",
            ")",
        ),
        ("\"abc", "unterminated string", "\"abc"),
        (".a + \"abc", "unterminated string", "\"abc"),
        ("\"a\\qb\"", "invalid escape sequence in a string", "q"),
        (
            "",
            "unexpected end of the expression, expected an expression",
            "",
        ),
        (
            ".a |",
            "unexpected end of the expression, expected an expression",
            "",
        ),
        (".a | | .b", "unexpected `|`, expected an expression", "|"),
        ("[1, ]", "unexpected `]`, expected an expression", "]"),
        (
            "if .a then 1",
            "unexpected end of the expression, expected `elif`, `else` or `end`",
            "",
        ),
        ("if .a 1 end", "unexpected `1`, expected `then`", "1"),
        (
            ".a .b c",
            "unexpected `c`, expected an operator or the end",
            "c",
        ),
        (
            "{a: 1 b: 2}",
            "unexpected `b`, expected an operator or the end",
            "b",
        ),
        ("{(1)}", "unexpected `}`, expected `:`", "}"),
        (
            "1 == 1 == 1",
            "unexpected `==`, expected an operator that binds less or parentheses",
            "==",
        ),
        (
            ". as [$a] ?// $a | 1",
            "alternatives in destructuring (`?//`) are not supported",
            "?",
        ),
        (
            "import \"a\" as a; 1",
            "modules are not supported",
            "import",
        ),
        (
            "reduce .[] as $x (0)",
            "`reduce` needs `(start; update)` after the variable",
            "(",
        ),
        ("%", "unexpected `%`, expected an expression", "%"),
        (".a ~ .b", "unexpected `~`", "~"),
        ("then", "unexpected `then`, expected an expression", "then"),
        (".[", "the `[` is not closed", ""),
    ] {
        let found = problem(text);
        assert_eq!(found.message, message, "{text}");
        let span = found.span.clone().unwrap();
        let shown = &text[span];
        assert!(
            if at == "(" {
                shown.starts_with('(')
            } else {
                shown == at
            },
            "{text}: {shown:?} is not {at:?}"
        );
    }
}

#[test]
fn positions_are_those_of_the_text_as_written() {
    let text = "'é' + .a + foo";
    let found = problem(text);
    assert_eq!(&text[found.span.unwrap()], "foo");
}

#[test]
fn single_quotes_that_are_not_read_as_quotes_are_explained() {
    for text in [
        ".a == ('x')",
        ".a | split(' ')",
        ".a | test('^x')",
        "if .a=='x' then 1 else 2 end",
        "[.a[] | select(.b=='c')]",
    ] {
        let hint = problem(text).hint.unwrap();
        assert!(hint.contains("double quotes"), "{text}: {hint}");
    }
    // Double quotes would not help these.
    assert_eq!(problem(".a == ('x'").hint, None);
    assert_eq!(problem("foo").hint, None);
    assert_eq!(problem("foo('x')").hint, None);
    assert!(jq().compile(".a == 'x'").is_ok());
}

#[test]
fn a_long_expression_is_refused_by_its_length() {
    let found = problem(&" ".repeat(100_000));
    assert_eq!(
        found.message,
        "the expression is 100000 bytes long, 65536 are allowed"
    );
}
