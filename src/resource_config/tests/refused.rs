use super::*;
use crate::resource_config::parse_value;

#[test]
fn a_wrong_expression_is_shown_with_the_place() {
    insta::assert_snapshot!(refused(&document("component", "", "", "properties:\n  startDate: '.start_date | strptim(\"%Y-%m-%d\")'")), @r#"
        mapping.yaml has 1 problem

          mapping.yaml:13:22  resources[0].port.entity.mappings.properties.startDate
              .start_date | strptim("%Y-%m-%d")
                            ^^^^^^^
            undefined function `strptim/1`; did you mean `strptime`?
        "#);
}

#[test]
fn a_fixed_text_without_inner_quotes_is_explained() {
    let text = document("component", "", "", "").replace("'\"b\"'", "statuspageComponent");
    insta::assert_snapshot!(refused(&text), @r#"
        mapping.yaml has 1 problem

          mapping.yaml:11:20  resources[0].port.entity.mappings.blueprint
              statuspageComponent
              ^^^^^^^^^^^^^^^^^^^
            undefined function `statuspageComponent`
            hint: a fixed text needs quotes of its own: '"statuspageComponent"'
        "#);
}

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_document() {
    let text = "
entityDeletionThreshold: 90
resources:
  - kind: incidnet
    selector:
      quey: 'true'
    port:
      entity:
        mappings:
          - identifier: .id
  - kind: services
    selector:
      query: .status |
      serviceAnalytics: maybe
      apiQueryParams: [teams]
    port:
      itemsToParse: [.a]
      entity:
        mappings:
          identifier: .id
          title: {}
          properties:
            nested:
              deep: nothing_like_it
";
    insta::assert_snapshot!(refused(text), @r#"
        mapping.yaml has 11 problems

          mapping.yaml:2:26  entityDeletionThreshold
            expected a number from 0 to 1, found 90
            hint: it is a share, not a percentage: write 0.9

          mapping.yaml:4:11  resources[0].kind
            there is no kind `incidnet`
            hint: did you mean `incident`?

          mapping.yaml:6:7  resources[0].selector.query
            `query` is missing
            hint: is `quey` meant to be `query`?

          mapping.yaml:10:11  resources[0].port.entity.mappings
            expected an object, found a list

          mapping.yaml:13:14  resources[1].selector.query
              .status |
                       ^
            unexpected end of the expression, expected an expression

          mapping.yaml:14:25  resources[1].selector.serviceAnalytics
            expected true or false, found "maybe"

          mapping.yaml:15:23  resources[1].selector.apiQueryParams
            expected an object, found a list

          mapping.yaml:17:21  resources[1].port.itemsToParse
            expected an expression, found a list

          mapping.yaml:20:11  resources[1].port.entity.mappings.blueprint
            `blueprint` is missing

          mapping.yaml:21:18  resources[1].port.entity.mappings.title
            expected an expression, found an object

          mapping.yaml:24:21  resources[1].port.entity.mappings.properties.nested.deep
              nothing_like_it
              ^^^^^^^^^^^^^^^
            undefined function `nothing_like_it`
            hint: a fixed text needs quotes of its own: '"nothing_like_it"'
        "#);
}

#[test]
fn without_a_text_the_paths_remain() {
    let value = serde_json::json!({"resources": [{"kind": "user", "selector": {}, "port": {"entity": {}}}, null]});
    let invalid = parse_value(&value, "the mapping stored in Port", BOTH, &jq()).unwrap_err();
    insta::assert_snapshot!(invalid.to_string(), @"
        the mapping stored in Port has 4 problems

          resources[0].kind
            there is no kind `user`
            hint: did you mean `users`?

          resources[0].selector.query
            `query` is missing

          resources[0].port.entity.mappings
            `mappings` is missing

          resources[1]
            this resource is empty
            hint: remove it
        ");
}

#[test]
fn keys_given_twice_are_refused_whatever_else_is_wrong() {
    let text = document(
        "incidents",
        "query: 'false'",
        "",
        "title: .a\ntitle: .b\nicon: [1]",
    );
    insta::assert_snapshot!(refused(&text), @"
        mapping.yaml has 3 problems

          mapping.yaml:5:5  resources[0].selector.query
            this key was already given on line 4
            hint: remove one of the two

          mapping.yaml:13:9  resources[0].port.entity.mappings.title
            this key was already given on line 12
            hint: remove one of the two

          mapping.yaml:14:15  resources[0].port.entity.mappings.icon
            expected an expression, found a list
        ");
}

#[test]
fn an_expression_of_several_lines_is_shown_where_it_goes_wrong() {
    let block = "properties:
  a: |
    .name
    | \"éß\" + nope
  b: >-
    .a
    | [
  c: |
    .name |
";
    insta::assert_snapshot!(refused(&document("incidents", "", "", block)), @r#"
        mapping.yaml has 3 problems

          mapping.yaml:14:13  resources[0].port.entity.mappings.properties.a
              | "éß" + nope
                       ^^^^
            undefined function `nope`

          mapping.yaml:17:13  resources[0].port.entity.mappings.properties.b
              .a | [
                    ^
            the `[` is not closed

          mapping.yaml:20:13  resources[0].port.entity.mappings.properties.c
              .name |
                     ^
            unexpected end of the expression, expected an expression
        "#);
}

#[test]
fn a_search_has_to_be_complete() {
    let mappings = "relations:
  a: {combinator: xor, rules: [{property: name, operator: '='}]}
  b: {combinator: and, rules: []}
  c: {combinator: and, rules: [{property: name, value: .x}, {combinator: or, rules: [null]}]}
team: {rules: [{property: name, operator: '=', value: nope}]}";
    insta::assert_snapshot!(refused(&document("incidents", "", "", mappings)), @r#"
        mapping.yaml has 6 problems

          mapping.yaml:13:27  resources[0].port.entity.mappings.relations.a.combinator
            `combinator` is `xor`, expected `and` or `or`
            hint: a search looks like {combinator: and, rules: [{property: …, operator: "=", value: …}]}

          mapping.yaml:14:39  resources[0].port.entity.mappings.relations.b.rules
            `rules` has to be a list of at least one rule

          mapping.yaml:15:40  resources[0].port.entity.mappings.relations.c.rules[0].operator
            a rule needs `operator`, a text

          mapping.yaml:15:94  resources[0].port.entity.mappings.relations.c.rules[1].rules[0]
            this rule is empty

          mapping.yaml:16:15  resources[0].port.entity.mappings.team.combinator
            `combinator` is missing, expected `and` or `or`
            hint: a search looks like {combinator: and, rules: [{property: …, operator: "=", value: …}]}

          mapping.yaml:16:63  resources[0].port.entity.mappings.team.rules[0].value
              nope
              ^^^^
            undefined function `nope`
            hint: a fixed text needs quotes of its own: '"nope"'
        "#);
}

#[test]
fn text_that_is_no_yaml_says_where() {
    insta::assert_snapshot!(refused("resources:\n  - kind: a\n   selector: b\n"), @"
        mapping.yaml has 1 problem

          mapping.yaml:3:4
            this is not valid YAML: did not find expected '-' indicator at line 3 column 4, while parsing a block collection
        ");
    insta::assert_snapshot!(refused("resources: *missing\n"), @"
        mapping.yaml has 1 problem

          mapping.yaml:1:12
            this is not valid YAML: unknown anchor
        ");
    insta::assert_snapshot!(refused("{\"resources\": [}"), @"
        mapping.yaml has 1 problem

          mapping.yaml:1:16
            this is not valid JSON: expected value
        ");
    insta::assert_snapshot!(refused("a: 1\n---\nb: 2\n"), @"
        mapping.yaml has 1 problem

          the document
            this is not valid YAML: deserializing from YAML containing more than one document is not supported
        ");
    insta::assert_snapshot!(refused("a: &a [*a]\n"), @"
        mapping.yaml has 1 problem

          mapping.yaml:1:4
            this is not valid YAML: recursion limit exceeded
        ");
}

#[test]
fn a_document_that_is_no_document_is_refused() {
    insta::assert_snapshot!(refused(""), @"
        mapping.yaml has 1 problem

          the document
            it is empty
            hint: write `resources: []` if nothing at all is to be read
        ");
    insta::assert_snapshot!(refused("- kind: incident"), @"
        mapping.yaml has 1 problem

          mapping.yaml:1:1
            expected an object, found a list
        ");
    insta::assert_snapshot!(refused("resources: {kind: incident}"), @"
        mapping.yaml has 1 problem

          mapping.yaml:1:12  resources
            `resources` has to be a list
            hint: begin each resource with `- kind: …`
        ");
}

#[test]
fn what_json_cannot_say_is_refused() {
    insta::assert_snapshot!(refused("entityDeletionThreshold: .nan\nresources: !list []\n? [a]\n: b\n"), @"
        mapping.yaml has 3 problems

          mapping.yaml:1:1
            a key here is not a text

          mapping.yaml:1:26  entityDeletionThreshold
            .nan is not a number that JSON has

          mapping.yaml:2:12  resources
            the tag !list has no meaning here
            hint: remove it
        ");
}

#[test]
fn a_document_that_grows_without_end_is_refused() {
    let levels = (1..10).map(|level| {
        let inner = format!("*a{},", level - 1).repeat(10);
        format!("a{level}: &a{level} [{inner}]\n")
    });
    let text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned() + &levels.collect::<String>();
    insta::assert_snapshot!(refused(&text), @"
        mapping.yaml has 1 problem

          the document
            this is not valid YAML: repetition limit exceeded
        ");
}

#[test]
fn the_threshold_is_a_share() {
    for threshold in ["-0.1", "1.01", "nine"] {
        assert!(
            refused(&format!("entityDeletionThreshold: {threshold}")).contains("from 0 to 1"),
            "{threshold}"
        );
    }
}
