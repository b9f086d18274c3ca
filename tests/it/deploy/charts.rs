//! Values for Helm, with the environment that each chart makes of them.

use std::collections::BTreeSet;

use portolan::settings::{EventListener, table};
use regex::Regex;
use serde_json::Value;

use super::{
    Environment, PAGERDUTY_TOKEN, PORT, STATUSPAGE_KEY, TOKEN, accepted, files, path, placeholders,
    read, yaml,
};

/// What both charts make of a value in a variable.
fn as_variable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// `apiUrl` as `API_URL`.
fn snake_upper(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_uppercase());
    }
    snake
}

/// The keys of the chart's values that the files here may use. Helm says nothing of one
/// that a chart does not know.
const PORT_OCEAN_VALUES: [&str; 19] = [
    "containerSecurityContext",
    "extraEnv",
    "extraVolumeMounts",
    "extraVolumes",
    "image",
    "imageRegistry",
    "ingress",
    "initializePortResources",
    "integration",
    "liveEvents",
    "podSecurityContext",
    "port",
    "resources",
    "scheduleConcurrencyPolicy",
    "scheduledResyncInterval",
    "secret",
    "service",
    "terminationGracePeriodSeconds",
    "workload",
];

/// What the chart `port-ocean` makes of its values, the secret apart.
fn port_ocean(values: &Value) -> Environment {
    let is_cron_job = text(values, "/workload/kind") == Some("CronJob");
    let listener = if is_cron_job {
        r#"{"type":"ONCE"}"#.to_owned()
    } else {
        values["integration"]["eventListener"].to_string()
    };
    let base_url = text(values, "/port/baseUrl").unwrap_or("https://api.getport.io");
    let mut environment = Environment::from([
        ("OCEAN__PORT__BASE_URL".to_owned(), base_url.to_owned()),
        ("OCEAN__EVENT_LISTENER".to_owned(), listener),
        (
            "OCEAN__INITIALIZE_PORT_RESOURCES".to_owned(),
            values["initializePortResources"].to_string(),
        ),
    ]);
    if let Some(minutes) = values.get("scheduledResyncInterval")
        && !is_cron_job
    {
        let name = "OCEAN__SCHEDULED_RESYNC_INTERVAL".to_owned();
        environment.insert(name, as_variable(minutes));
    }
    if let Some(identifier) = text(values, "/integration/identifier") {
        let name = "OCEAN__INTEGRATION__IDENTIFIER".to_owned();
        environment.insert(name, identifier.to_owned());
    }
    let config = values.pointer("/integration/config");
    for (key, value) in config.and_then(Value::as_object).into_iter().flatten() {
        let name = format!("OCEAN__INTEGRATION__CONFIG__{}", snake_upper(key));
        environment.insert(name, as_variable(value));
    }
    for extra in values["extraEnv"].as_array().into_iter().flatten() {
        let name = extra["name"].as_str().unwrap().to_owned();
        environment.insert(name, extra["value"].as_str().unwrap().to_owned());
    }
    environment
}

#[test]
fn the_values_for_ports_chart_give_settings() {
    for (file, secret, integration_type) in [
        ("port-ocean/deployment.yaml", TOKEN, "pagerduty"),
        ("port-ocean/cronjob.yaml", STATUSPAGE_KEY, "statuspage"),
        ("port-ocean/live-events.yaml", TOKEN, "pagerduty"),
    ] {
        let values = yaml(file);
        for key in values.as_object().unwrap().keys() {
            assert!(PORT_OCEAN_VALUES.contains(&key.as_str()), "{file}: {key}");
        }
        let mut environment = port_ocean(&values);
        environment.extend(placeholders(PORT.into_iter().chain([secret])));

        let settings = accepted(file, environment);

        assert_eq!(settings.once, file.contains("cronjob"), "{file}");
        let catalog = settings.catalog.unwrap();
        assert_eq!(catalog.integration.kind, integration_type);
        assert_eq!(
            settings.live_events.base_url.is_some(),
            file.contains("live-events"),
            "{file}"
        );
    }
}

#[test]
fn containers_run_as_the_images_user_on_a_file_system_that_is_read_only() {
    let dockerfile = std::fs::read_to_string(path("../../Dockerfile")).unwrap();
    let (_, user) = dockerfile.split_once("\nUSER ").unwrap();
    let user: u64 = user.split(':').next().unwrap().parse().unwrap();
    let values = files()
        .into_iter()
        .filter(|file| file.starts_with("port-ocean/") || file == "chart/values.yaml");
    for file in values {
        let values = yaml(&file);
        let pod = &values["podSecurityContext"];
        for key in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert_eq!(pod[key], user, "{file}: {key}");
        }
        assert_eq!(pod["runAsNonRoot"], true, "{file}");
        let container = &values["containerSecurityContext"];
        assert_eq!(container["readOnlyRootFilesystem"], true, "{file}");
        assert_eq!(container["allowPrivilegeEscalation"], false, "{file}");
    }
}

/// What the chart's config map holds, as its template says.
fn own_chart(values: &Value) -> Environment {
    let settings = values["settings"].as_object().unwrap().iter();
    let mut environment: Environment = settings
        .map(|(name, value)| (name.clone(), as_variable(value)))
        .collect();
    if values["redis"]["enabled"] == true {
        let switch = "OCEAN__LIVE_EVENTS__IS_REDIS_STREAM_CONSUMER_ENABLED";
        environment.insert(switch.to_owned(), "true".to_owned());
        let url = as_variable(&values["redis"]["url"]);
        environment.insert("OCEAN__LIVE_EVENTS__REDIS__URL".to_owned(), url);
    }
    if values["ingress"]["enabled"] == true {
        let url = format!("https://{}", as_variable(&values["ingress"]["host"]));
        environment.insert("OCEAN__BASE_URL".to_owned(), url);
    }
    if values["incidentSync"] != serde_json::json!({}) {
        let name = "OCEAN__INTEGRATION__CONFIG__INCIDENT_SYNC".to_owned();
        environment.insert(name, values["incidentSync"].to_string());
    }
    environment.extend(placeholders(
        PORT.into_iter().chain([STATUSPAGE_KEY, PAGERDUTY_TOKEN]),
    ));
    environment
}

/// Values over values, as Helm lays them.
fn merge(values: &mut Value, over: &Value) {
    match (values, over) {
        (Value::Object(values), Value::Object(over)) => {
            for (key, over) in over {
                merge(values.entry(key.clone()).or_insert(Value::Null), over);
            }
        }
        (values, over) => *values = over.clone(),
    }
}

#[test]
fn the_own_charts_values_give_settings_as_they_are_and_with_everything_on() {
    let values = yaml("chart/values.yaml");
    let settings = accepted("chart/values.yaml", own_chart(&values));
    assert!(settings.live_events.redis.is_none());
    assert!(settings.incident_sync.is_none());
    let catalog = settings.catalog.unwrap();
    assert_eq!(catalog.integration.kind, "portolan");
    assert!(matches!(
        catalog.event_listener,
        EventListener::Polling { .. }
    ));

    let mut everything = values;
    let on = "{replicas: 2, redis: {enabled: true, url: 'rediss://redis:6379'}, \
              ingress: {enabled: true}, incidentSync: {mode: plan, pages: [abc]}, \
              settings: {OCEAN__EVENT_WORKERS_COUNT: 4, \
              OCEAN__INTEGRATION__CONFIG__STATUSPAGE_IDS: [abc]}}";
    merge(&mut everything, &serde_yaml::from_str(on).unwrap());
    let settings = accepted("chart/values.yaml", own_chart(&everything));
    assert!(settings.live_events.redis.is_some());
    assert!(settings.live_events.base_url.is_some());
    assert!(settings.incident_sync.is_some());
    assert_eq!(settings.live_events.workers, 4);
}

#[test]
fn the_applications_of_argo_name_charts_and_values_that_are_there() {
    let own = yaml("argocd/portolan.yaml");
    let source = &own["spec"]["source"];
    let chart = path("../..").join(source["path"].as_str().unwrap());
    assert!(chart.join("Chart.yaml").exists());
    let mut values = yaml("chart/values.yaml");
    let known: BTreeSet<String> = values.as_object().unwrap().keys().cloned().collect();
    let over = &source["helm"]["valuesObject"];
    for key in over.as_object().unwrap().keys() {
        assert!(known.contains(key), "argocd/portolan.yaml: {key}");
    }
    merge(&mut values, over);
    accepted("argocd/portolan.yaml", own_chart(&values));

    let ports = yaml("argocd/port-ocean.yaml");
    assert_eq!(ports["spec"]["sources"][0]["chart"], "port-ocean");
    assert_eq!(ports["spec"]["sources"][1]["ref"], "values");
}

/// The templates of the own chart, with their names.
fn templates() -> Vec<(String, String)> {
    let names = files().into_iter();
    names
        .filter(|name| name.starts_with("chart/templates/"))
        .map(|name| (name.clone(), read(&name)))
        .collect()
}

#[test]
fn every_variable_in_the_own_chart_is_a_setting() {
    let variable = Regex::new(r"\b(?:OCEAN|APPLICATION)__[A-Z0-9_]+").unwrap();
    let mut found = 0;
    let texts = templates().into_iter().chain(
        ["chart/values.yaml", "port-ocean/deployment.yaml"]
            .map(|name| (name.to_owned(), read(name))),
    );
    for (file, text) in texts {
        for name in variable.find_iter(&text) {
            let is_known = table().iter().any(|row| row.variable == name.as_str());
            assert!(is_known, "{file}: {}", name.as_str());
            found += 1;
        }
    }
    assert!(found > 10, "the variables were not found");
}

#[test]
fn every_value_that_the_templates_read_is_in_the_values() {
    let values = yaml("chart/values.yaml");
    let used = Regex::new(r"\.Values\.([A-Za-z.]+)").unwrap();
    let mut read = BTreeSet::new();
    for (file, text) in templates() {
        for value in used.captures_iter(&text) {
            let pointer = format!("/{}", value[1].replace('.', "/"));
            assert!(values.pointer(&pointer).is_some(), "{file}: {}", &value[1]);
            read.insert(pointer.split('/').nth(1).unwrap().to_owned());
        }
    }
    let known: BTreeSet<String> = values.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, read, "values that no template reads");
}

#[test]
fn every_block_of_the_templates_is_closed() {
    let action = Regex::new(r"\{\{-?\s*(?:/\*.*?\*/|(\w+)?.*?)\s*-?\}\}").unwrap();
    for (file, text) in templates() {
        let mut open = 0_i32;
        for action in action.captures_iter(&text) {
            match action.get(1).map(|keyword| keyword.as_str()) {
                Some("if" | "with" | "range" | "define") => open += 1,
                Some("end") => open -= 1,
                _ => {}
            }
            assert!(open >= 0, "{file}: one `end` too many");
        }
        assert_eq!(open, 0, "{file}: blocks that are not closed");
        assert_eq!(
            text.matches("{{").count(),
            text.matches("}}").count(),
            "{file}"
        );
    }
}
