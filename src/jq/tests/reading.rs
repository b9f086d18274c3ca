//! What the default mappings read of the data that is fetched on demand.

use super::*;

#[track_caller]
fn reads(text: &str, path: &[Step]) -> bool {
    jq().compile(text).unwrap().may_read(path)
}

fn key(name: &'static str) -> Step {
    Step::Key(Cow::Borrowed(name))
}

#[test]
fn only_expressions_about_who_is_on_call_read_who_is_on_call() {
    let oncall = [
        ".__oncall_user | sort_by(.escalation_level) | .[0].user.email",
        ".__oncall_user | sort_by(.escalation_level) | .[1].user.email",
        ".__oncall_user | map(.escalation_level) | unique | length",
    ];
    let analytics = [
        ".__analytics.mean_seconds_to_resolve",
        ".__analytics.mean_seconds_to_first_ack",
        ".__analytics.mean_seconds_to_engage",
    ];
    let others = [
        ".id",
        ".name",
        "\"pagerdutyService\"",
        ".status",
        ".html_url",
        "true",
    ];
    for text in oncall {
        assert!(reads(text, &[key("__oncall_user")]), "{text}");
        assert!(!reads(text, &[key("__analytics")]), "{text}");
    }
    for text in analytics {
        assert!(reads(text, &[key("__analytics")]), "{text}");
        assert!(!reads(text, &[key("__oncall_user")]), "{text}");
    }
    for text in others {
        assert!(!reads(text, &[key("__oncall_user")]), "{text}");
        assert!(!reads(text, &[key("__analytics")]), "{text}");
    }
}

#[test]
fn only_expressions_about_users_read_their_addresses() {
    let email = [key("users"), Step::Each, key("__email")];
    let users = "[.users[] | select(has(\"__email\")) | .__email]";
    assert!(reads(users, &email));
    assert!(reads(".users", &email));
    for text in [
        ".id",
        ".name",
        ".html_url",
        ".time_zone",
        ".description",
        ".users[].summary",
        ".users | length",
    ] {
        assert!(!reads(text, &email), "{text}");
    }
}

#[test]
fn enrichments_are_read_by_the_expressions_that_name_them() {
    let all = [
        (
            ".__oncall_users | sort_by(.escalation_level) | .[0].user.email",
            "__oncall_users",
        ),
        (
            "if .__members != null then .__members | map(.user.id) else [] end",
            "__members",
        ),
        (".__currentOncalls.onCallRecipients", "__currentOncalls"),
    ];
    for (text, name) in all {
        assert!(reads(text, &[key(name)]), "{text}");
    }
    for text in [
        ".group == false",
        ".start_date | if . == null then null else (strptime(\"%Y-%m-%d\") | todateiso8601) end",
        "[.components[].id]",
        "[.affected_components[].code]",
        ".id | tostring",
        ".assignments | map(.assignee.email)",
        "if .priority != null then .priority.summary else null end",
        ".first_trigger_log_entry.agent.summary",
        ".user.id + \"-\" + .schedule.id + \"-\" + .start",
        ".escalation_rules",
        ".id + \"_\" + .item.id",
        "[.item.participants[] | select(has(\"username\")) | .username]",
        "if (.alias | contains(\"_\")) then (.alias | split(\"_\")[0]) else null end",
        ".responders | [.[] | select(.type == \"team\") | .id]",
        ".links.web",
    ] {
        for (_, name) in all {
            assert!(!reads(text, &[key(name)]), "{text} does not read {name}");
        }
    }
    assert!(reads(".", &[key("__members")]));
    assert!(reads("del(.id)", &[key("__members")]));
    assert!(!reads("del(.__members)", &[key("__members")]));
}
