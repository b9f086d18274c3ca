use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Layout, Scope, Text, scope::sample};

/// A public incident of two components in Berlin.
fn scope() -> Scope {
    let mut scope = sample();
    scope.components[0].name = "Checkout".to_owned();
    scope.components[1].name = "Payments".to_owned();
    scope.components[1].group = None;
    scope.page.time_zone = "Europe/Berlin".to_owned();
    scope.times.started = Some("2025-07-01T10:00:17Z".parse::<Timestamp>().unwrap());
    scope.times.acknowledged = None;
    scope.incident = json!({
        "title": "5xx above threshold <b>now</b>",
        "priority": null,
        "urgency": "high",
        "tags": ["a", "b"],
        "created_at": "2025-01-31T23:30:00.5+02:00",
    });
    scope
}

fn text(source: &str) -> Text {
    Text::parse("templates.default.opened", source, Layout::Paragraphs)
        .unwrap_or_else(|invalid| panic!("{invalid}"))
}

fn written(source: &str) -> String {
    text(source).render(&scope(), Text::BODY_LIMIT).unwrap()
}

fn failed(source: &str) -> String {
    let error = text(source).render(&scope(), Text::BODY_LIMIT).unwrap_err();
    error.to_string()
}

fn refused(source: &str) -> String {
    let invalid = Text::parse("name", source, Layout::Line).unwrap_err();
    let place = invalid
        .span
        .map_or("nowhere", |span| source.get(span).unwrap());
    let hint = invalid.hint.unwrap_or_default();
    format!("{place} | {} | {hint}", invalid.message)
}

#[test]
fn a_text_may_use_everything_in_scope() {
    insta::assert_snapshot!(written("
        {{component_name}}: {{ component.name }} in {{ component.group }} ({{ component.status }}).
        {% for one in components %}{{ loop.index }} {{ one.name }}{% if not loop.last %}; {% endif %}{% endfor %}
        {{ joined }} came, {{ left }} went.
        {{ incident.title }} from {{ source }} of {{ account }} by {{ rule }}, {{ incidents | length }} in all.
        {{ incident.tags | join('/') }} {{ incident.priority | default('P?', true) }}
        {% if times.acknowledged %}acknowledged{% else %}not acknowledged{% endif %} {{ page.name }} {{ page.url }}
    "), @"
    Checkout and Payments: Checkout in Group (partial_outage).
            1 Checkout; 2 Payments
            Other came, Former went.
            5xx above threshold <b>now</b> from pagerduty of account by rule, 1 in all.
            a/b P?
            not acknowledged Page https://status.example.com
    ");
}

#[test]
fn times_are_those_of_the_pages_time_zone() {
    assert_eq!(written("{{ times.started | time }}"), "12:00 CEST");
    assert_eq!(
        written("{{ incident.created_at | time('%F %H:%M %Z') }}"),
        "2025-01-31 22:30 CET"
    );
    assert_eq!(written("{{ times.now }}"), "1970-01-01T00:00:00Z");

    let mut elsewhere = scope();
    elsewhere.page.time_zone = "Somewhere Time (Mars)".to_owned();
    let written = text("{{ times.started | time }}").render(&elsewhere, 100);
    assert_eq!(written.unwrap(), "10:00 UTC");
}

#[test]
fn a_long_text_ends_with_its_last_whole_word() {
    let cut = |source: &str, longest| text(source).render(&scope(), longest).unwrap();

    assert_eq!(cut("one two three", 13), "one two three");
    assert_eq!(cut("one two three", 12), "one two…");
    assert_eq!(cut("one two three", 8), "one two…");
    assert_eq!(cut("one two three", 7), "one…");
    assert_eq!(cut("ä ßßßßßßßßßßßß", 8), "ä ßßßßß…");
    assert_eq!(cut("onetwothree", 5), "onet…");
    assert_eq!(cut("onetwothree", 1), "…");
    let long = "word ".repeat(10_000);
    assert_eq!(cut(&long, Text::BODY_LIMIT).chars().count(), 25_000);
}

#[test]
fn a_title_stays_on_one_line() {
    let mut scope = scope();
    scope.incident = json!({"title": "first\r\n  second\t"});
    let title = Text::parse("name", "{{ incident.title }}\n: down", Layout::Line).unwrap();

    assert_eq!(
        title.render(&scope, Text::NAME_LIMIT).unwrap(),
        "first second : down"
    );
}

#[test]
fn what_would_look_odd_in_public_is_an_error() {
    insta::assert_snapshot!(failed("{{ incident.nope }}"), @"templates.default.opened could not be written: `incident.nope` is not there");
    insta::assert_snapshot!(failed("{{ incident.priority }}"), @r#"templates.default.opened could not be written: `incident.priority`: it is null; say what to write then, as in {{ … | default("…", true) }}"#);
    insta::assert_snapshot!(failed("{{ incident.priority.name }}"), @"templates.default.opened could not be written: `incident.priority.name` is not there");
    insta::assert_snapshot!(failed("{{ incident.tags }}"), @r#"templates.default.opened could not be written: `incident.tags`: it is a list; join it, as in {{ … | join(", ") }}"#);
    insta::assert_snapshot!(failed("{{ times.acknowledged | time }}"), @"templates.default.opened could not be written: expected a time such as 2025-02-01T10:00:17Z, found nothing");
    insta::assert_snapshot!(failed("{{ incident.title | time }}"), @r#"templates.default.opened could not be written: expected a time such as 2025-02-01T10:00:17Z, found "5xx above threshold <b>now</b>""#);
    insta::assert_snapshot!(failed("{{ incident.title + 1 }}"), @"templates.default.opened could not be written: `incident.title + 1`: tried to use + operator on unsupported types string and number");
    insta::assert_snapshot!(failed("{{ components[1].group }}"), @"templates.default.opened could not be written: `components[1].group` is not there");
    insta::assert_snapshot!(failed("{% if incident.urgency == 'low' %}low{% endif %}"), @"templates.default.opened came out empty");
}

#[test]
fn an_error_shows_no_more_than_an_excerpt_of_the_incident() {
    let mut scope = scope();
    scope.incident = json!({"title": "secret\n".repeat(1_000)});
    let error = text("{{ incident.title | int }}").render(&scope, 100);

    let message = error.unwrap_err().to_string();
    assert!(message.chars().count() < 280, "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn an_incident_cannot_make_a_text_run_on() {
    let mut scope = scope();
    scope.incident = json!({"many": vec![Value::from("x"); 100_000]});
    let error = text("{% for one in incident.many %}{{ one }}{% endfor %}").render(&scope, 100);

    insta::assert_snapshot!(error.unwrap_err(), @"templates.default.opened could not be written: `one`: it takes too much work or gives too long a text");
}

#[test]
fn the_language_of_an_incident_is_not_spoken() {
    let mut scope = scope();
    scope.incident = json!({"title": "{{ page.id }} {% endif %}"});
    let written = text("{{ incident.title }}").render(&scope, 100);

    assert_eq!(written.unwrap(), "{{ page.id }} {% endif %}");
}

#[test]
fn a_template_with_mistakes_is_refused_with_the_place() {
    insta::assert_snapshot!(refused("Errors in {{ component_name"), @"component_name | unexpected end of input, expected end of variable block |");
    insta::assert_snapshot!(refused("{% if joined %}x"), @"x | unexpected end of input, expected end of block |");
    insta::assert_snapshot!(refused("{% include 'x' %}"), @"include | unknown statement include |");
    insta::assert_snapshot!(refused("compnent_name: {{ compnent_name }}"), @"compnent_name | there is no `compnent_name` | did you mean `component_name`?");
    insta::assert_snapshot!(refused("{{ severity }}"), @"severity | there is no `severity` | there is component_name, components, component, joined, left, incident, incidents, source, account, page, rule, times");
    insta::assert_snapshot!(refused("{{ page.nmae }}"), @"page.nmae | there is no `page.nmae` | did you mean `name`?");
    insta::assert_snapshot!(refused("{{ page.title }}"), @"page.title | there is no `page.title` | there is id, name, url, time_zone");
    insta::assert_snapshot!(refused("{{ component_name.upper() }}"), @"component_name.upper | `component_name` is a text and has no `upper` | write `component_name` alone");
    insta::assert_snapshot!(refused("{{ components.name }}"), @"components.name | `components` is a list and has no `name` | take one of it, `components[0].name`, or go through it with `for`");
    insta::assert_snapshot!(refused("{{ debug() }}"), @"debug | there is no `debug` | there is component_name, components, component, joined, left, incident, incidents, source, account, page, rule, times");
    insta::assert_snapshot!(refused("{{ incident }}"), @"incident | it is an object; name the part of it that is meant |");
    insta::assert_snapshot!(refused("{{ components }}"), @r#"components | it is a list; join it, as in {{ … | join(", ") }} |"#);
    insta::assert_snapshot!(refused(" \n"), @"nowhere | this text is empty | write one, or leave the key out for the default text");
    insta::assert_snapshot!(refused("{{ times.now | time('%!') }}"), @r#"time('%!') | "%!" is no way to write a time: strftime formatting failed: found unrecognized specifier directive `!` |"#);
    insta::assert_snapshot!(refused("{{ 'x' * 100000000 }}"), @"'x' * 100000000 | it takes too much work or gives too long a text |");
}

#[test]
fn filters_that_there_are_not_are_found_before_there_is_an_incident() {
    insta::assert_snapshot!(refused("{{ component_name | uper }}"), @"uper | filter uper is unknown |");
    insta::assert_snapshot!(refused("{% if incident.priority %}{{ incident.priority.name | uper }}{% endif %}"), @"uper | filter uper is unknown |");
    insta::assert_snapshot!(refused("{% if not incident.priority %}{{ rule | uper }}{% endif %}"), @"uper | filter uper is unknown |");
    insta::assert_snapshot!(refused("{% for one in incident.assignments %}{{ one is odder }}{% endfor %}"), @"odder | test odder is unknown |");
    insta::assert_snapshot!(refused("{{ incident.created_at | time('%!') }}"), @r#"time('%!') | "%!" is no way to write a time: strftime formatting failed: found unrecognized specifier directive `!` |"#);
}

#[test]
fn trying_a_template_ends_whatever_it_does_with_an_incident() {
    for filter in [
        "sort",
        "unique",
        "list",
        "string",
        "length",
        "pprint",
        "groupby('a')",
        "sum",
    ] {
        text(&format!(
            "{{{{ [incident, incident] | {filter} | length }}}}"
        ));
        text(&format!("{{{{ incident.a.b | {filter} | length }}}}"));
    }
    text(
        "{% if incident == incident.a and incident in incidents %}{{ {incident: 1} | length }}{% endif %}",
    );
}

#[test]
fn a_template_may_have_names_and_functions_of_its_own() {
    assert_eq!(
        written(
            "{% set one = component %}{{ one.name }}{% for i in range(2) %} {{ i }}{% endfor %}"
        ),
        "Checkout 0 1"
    );
}
