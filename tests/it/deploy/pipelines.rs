//! Recipes that start the image by a script or by Compose. The scripts are run, with a
//! `docker` that writes down the environment it was to give the container.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use super::{
    Environment, PAGERDUTY_TOKEN, PORT, STATUSPAGE_KEY, TOKEN, accepted, placeholder, placeholders,
    read, yaml,
};

const API_TOKEN: &str = "OCEAN__INTEGRATION__CONFIG__API_TOKEN";
const API_URL: &str = "OCEAN__INTEGRATION__CONFIG__API_URL";

/// Notes what `-e` says, in its two forms, and ends as it is told to.
const DOCKER: &str = r#"#!/bin/sh
: > "$DOCKER_SAW"
while [ $# -gt 0 ]; do
  if [ "$1" = -e ]; then
    shift
    case "$1" in
      *=*) printf '%s\n' "$1" ;;
      *) eval "value=\$$1"; printf '%s=%s\n' "$1" "$value" ;;
    esac >> "$DOCKER_SAW"
  fi
  shift
done
echo 'the summary'
exit "$DOCKER_ENDS_WITH"
"#;

struct Ran {
    code: i32,
    output: String,
    /// What the container would have been given.
    container: Environment,
}

/// Runs a script as the CI system does, where the image ends with this code.
fn run(shell: &[&str], script: &str, environment: &Environment, ends_with: i32) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let docker = directory.path().join("docker");
    std::fs::write(&docker, DOCKER).unwrap();
    std::fs::set_permissions(&docker, Permissions::from_mode(0o755)).unwrap();
    let saw = directory.path().join("saw");
    let search = format!("{}:/usr/bin:/bin", directory.path().display());
    let ran = Command::new(shell[0])
        .args(&shell[1..])
        .arg(script)
        .env_clear()
        .envs(environment)
        .env("PATH", search)
        .env("DOCKER_SAW", &saw)
        .env("DOCKER_ENDS_WITH", ends_with.to_string())
        .env("GITHUB_STEP_SUMMARY", directory.path().join("step-summary"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    Ran {
        code: ran.status.code().unwrap(),
        output: String::from_utf8(ran.stdout).unwrap(),
        container: noted(&saw),
    }
}

fn noted(saw: &Path) -> Environment {
    let lines = std::fs::read_to_string(saw).unwrap();
    let pairs = lines.lines().map(|line| line.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The map `env` of a step, where secrets are written as the CI system has them.
fn environment_of(step: &Value, secret: &str) -> Environment {
    let secret = Regex::new(secret).unwrap();
    let pairs = step["env"].as_object().unwrap().iter();
    pairs
        .map(|(name, written)| {
            let written = written.as_str().unwrap();
            let named = secret
                .captures(written)
                .unwrap_or_else(|| panic!("{written}"));
            assert_eq!(&named[1], name);
            (name.clone(), placeholder(name))
        })
        .collect()
}

/// The container gets settings, and only ONCE ends by itself.
fn check_container(file: &str, ran: &Ran) {
    let settings = accepted(file, ran.container.clone());
    assert!(settings.once, "{file}");
    assert!(settings.catalog.is_some(), "{file}");
}

/// What a script makes of the four exit codes, where it makes anything of them.
fn check_codes(file: &str, shell: &[&str], script: &str, environment: &Environment, warning: &str) {
    for (ends_with, expected) in [(0, 0), (1, 1), (2, 2), (3, 0)] {
        let ran = run(shell, script, environment, ends_with);
        assert_eq!(ran.code, expected, "{file}: {ends_with}");
        assert!(ran.output.contains("the summary"), "{file}: {}", ran.output);
        assert_eq!(
            ran.output.contains(warning),
            ends_with == 3,
            "{file}: {}",
            ran.output
        );
        check_container(file, &ran);
    }
}

#[test]
fn the_github_workflow_fails_for_failures_and_warns_of_a_resync_that_is_partly_done() {
    let file = "github-actions.yml";
    let steps = yaml(file)["jobs"]["resync"]["steps"].clone();
    let step = steps.as_array().unwrap().last().unwrap();
    assert_eq!(step["shell"], "bash");
    let environment = environment_of(step, r"^\$\{\{ secrets\.(\w+) \}\}$");
    let script = step["run"].as_str().unwrap();
    assert!(!script.contains("${{"), "secrets become part of the script");

    // As GitHub runs it where the shell is named.
    let shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"];
    check_codes(file, &shell, script, &environment, "::warning");

    // A secret that is not there is an empty variable.
    let mut without_address = environment;
    without_address.insert(API_URL.to_owned(), String::new());
    check_container(file, &run(&shell, script, &without_address, 0));
}

#[test]
fn the_azure_pipeline_fails_for_failures_and_warns_of_a_resync_that_is_partly_done() {
    let file = "azure-pipelines.yml";
    let pipeline = yaml(file);
    let steps = pipeline["jobs"][0]["steps"].as_array().unwrap();
    let step = steps.last().unwrap();
    let mut environment = environment_of(step, r"^\$\((\w+)\)$");
    for variable in pipeline["variables"].as_array().unwrap() {
        if let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) {
            environment.insert(name.to_owned(), value.to_owned());
        }
    }
    let script = step["bash"].as_str().unwrap();
    let shell = ["bash", "--noprofile", "--norc", "-c"];
    check_codes(file, &shell, script, &environment, "SucceededWithIssues");
}

/// The code goes on to the CI system, which knows what three is.
fn check_passed_on(file: &str, shell: &[&str], script: &str, environment: &Environment) {
    for ends_with in 0..=3 {
        let ran = run(shell, script, environment, ends_with);
        assert_eq!(ran.code, ends_with, "{file}");
        check_container(file, &ran);
    }
}

#[test]
fn gitlab_gets_the_exit_code_and_takes_partly_done_for_a_warning() {
    let file = "gitlab-ci.yml";
    let job = yaml(file)["resync"].clone();
    assert_eq!(job["allow_failure"]["exit_codes"], serde_json::json!([3]));
    let mut environment = placeholders(PORT.into_iter().chain([API_TOKEN]));
    for (name, value) in job["variables"].as_object().unwrap() {
        environment.insert(name.clone(), value.as_str().unwrap().to_owned());
    }
    let script = job["script"][0].as_str().unwrap();
    check_passed_on(file, &["sh", "-e", "-c"], script, &environment);
}

#[test]
fn jenkins_gets_the_exit_code_and_takes_partly_done_for_unstable() {
    let file = "Jenkinsfile";
    let text = read(file);
    for (open, close) in [("{", "}"), ("(", ")"), ("[", "]")] {
        assert_eq!(text.matches(open).count(), text.matches(close).count());
    }
    let credential = Regex::new(r"string\(credentialsId: '(\w+)', variable: '(\w+)'\)").unwrap();
    let names: Vec<&str> = credential
        .captures_iter(&text)
        .map(|found| found.get(2).unwrap().as_str())
        .collect();
    assert_eq!(names, [PORT[0], PORT[1], TOKEN, API_URL]);
    let script = text.split("'''").nth(1).unwrap();
    check_passed_on(file, &["sh", "-xe", "-c"], script, &placeholders(names));
    assert!(text.contains("returnStatus: true") && text.contains("code == 3"));
}

/// `${NAME}`, `${NAME:?}` and `${NAME:-default}`, as Compose puts them in.
fn interpolated(text: &str, variables: &Environment) -> String {
    let variable = Regex::new(r"\$\{(\w+)(?::([-?])([^}]*))?\}").unwrap();
    let put = |found: &regex::Captures<'_>| match variables.get(&found[1]) {
        Some(value) => value.clone(),
        None if found.get(2).is_some_and(|sign| sign.as_str() == "-") => found[3].to_owned(),
        None => panic!("{} is not set", &found[1]),
    };
    variable.replace_all(text, put).into_owned()
}

#[test]
fn compose_gives_settings_alone_and_with_two_replicas() {
    for file in ["compose.yaml", "compose-replicas.yaml"] {
        let mut variables = placeholders(PORT.into_iter().chain([STATUSPAGE_KEY, PAGERDUTY_TOKEN]));
        variables.insert("REDIS_PASSWORD".to_owned(), "placeholder".to_owned());
        let document = yaml(file);
        let service = &document["services"]["portolan"];
        assert_eq!(service["read_only"], true, "{file}");
        let pairs = service["environment"].as_object().unwrap().iter();
        let environment: Environment = pairs
            .map(|(name, value)| {
                (
                    name.clone(),
                    interpolated(value.as_str().unwrap(), &variables),
                )
            })
            .collect();

        let settings = accepted(file, environment);

        let is_shared = file == "compose-replicas.yaml";
        assert_eq!(settings.live_events.redis.is_some(), is_shared, "{file}");
        assert_eq!(service["deploy"]["replicas"] == 2, is_shared, "{file}");
        assert!(!settings.once, "{file}");
    }
}
