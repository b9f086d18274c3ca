//! What the rules say about each source incident.
//!
//! The first rule that has something to say decides: its `when` is true and its
//! `components` names any. Rules that open an incident in its present state are
//! asked before those that would only keep one open. Expressions run on data from outside and may fail; a
//! source incident for which one did is *undecided*. That is not the same as
//! untagged: nothing that stands for it may be resolved because of it.
//!
//! Blocks while expressions run; see [`crate::jq::on_large_stack`].

use std::collections::BTreeSet;
use std::sync::Arc;

use jaq_json::Val;

use super::alert::SourceIncident;
use super::config::{ComponentStatus, Rule, StatusRule};
use crate::jq::{self, Filter};

/// A source incident that concerns components.
#[derive(Clone, Debug)]
pub struct Tagged {
    pub incident: SourceIncident,
    /// The rule's place in the document.
    pub rule: usize,
    /// Identifiers or names, as the rule found them, each once.
    pub components: BTreeSet<String>,
    pub component_status: ComponentStatus,
    /// Whether its status is one that opens a public incident.
    pub opens: bool,
}

/// A source incident about which a rule could not say anything.
#[derive(Clone, Debug)]
pub struct Undecided {
    pub incident: SourceIncident,
    /// What went wrong, with the name of the rule.
    pub reason: String,
}

/// What the rules made of all source incidents.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    pub tagged: Vec<Tagged>,
    pub undecided: Vec<Undecided>,
}

/// Asks the rules about each incident.
pub fn tag(rules: &[Rule], incidents: Vec<SourceIncident>, limits: &jq::Limits) -> Tags {
    let mut tags = Tags::default();
    for incident in incidents {
        let input = jq::to_val(&incident.object);
        match tag_one(rules, &incident, &input, limits) {
            Ok(Some(found)) => tags.tagged.push(Tagged {
                opens: rules[found.rule].opens.contains(&incident.status),
                rule: found.rule,
                components: found.components,
                component_status: found.component_status,
                incident,
            }),
            Ok(None) => {}
            Err(reason) => tags.undecided.push(Undecided { incident, reason }),
        }
    }
    tags
}

struct Found {
    rule: usize,
    components: BTreeSet<String>,
    component_status: ComponentStatus,
}

fn tag_one(
    rules: &[Rule],
    incident: &SourceIncident,
    input: &Val,
    limits: &jq::Limits,
) -> Result<Option<Found>, String> {
    // What opens comes before what only keeps open: a rule that waits for an
    // acknowledgement must not swallow what another announces at once.
    let opening = |rule: &Rule| rule.opens.contains(&incident.status);
    let about = || {
        let rules = rules.iter().enumerate();
        rules.filter(|(_, rule)| rule.is_about(incident))
    };
    let first = about().filter(|(_, rule)| opening(rule));
    let then = about().filter(|(_, rule)| !opening(rule));
    for (place, rule) in first.chain(then) {
        let expression = Expression {
            rule,
            input,
            limits,
        };
        if !expression.when()? {
            continue;
        }
        let components = expression.components()?;
        if components.is_empty() {
            continue;
        }
        return Ok(Some(Found {
            rule: place,
            components,
            component_status: expression.component_status()?,
        }));
    }
    Ok(None)
}

impl Rule {
    /// Everything that it evaluates.
    pub fn expressions(&self) -> impl Iterator<Item = &Arc<Filter>> {
        let status = match &self.component_status {
            StatusRule::Fixed(_) => None,
            StatusRule::Expression(expression) => Some(expression),
        };
        [&self.when, &self.components].into_iter().chain(status)
    }

    /// Whether it is for incidents of this source, account and status.
    pub fn is_about(&self, incident: &SourceIncident) -> bool {
        self.source == incident.id.source
            && (self.accounts.is_empty() || self.accounts.contains(&incident.id.account))
            && (self.opens.contains(&incident.status) || self.keeps.contains(&incident.status))
    }
}

struct Expression<'a> {
    rule: &'a Rule,
    input: &'a Val,
    limits: &'a jq::Limits,
}

impl Expression<'_> {
    fn when(&self) -> Result<bool, String> {
        match self.value("when", &self.rule.when)? {
            serde_json::Value::Bool(verdict) => Ok(verdict),
            _ => Err(self.failed("when", "gave something other than true or false")),
        }
    }

    fn components(&self) -> Result<BTreeSet<String>, String> {
        use serde_json::Value;
        const WRONG: &str = "gave something other than texts, a text or null";
        let named = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        match self.value("components", &self.rule.components)? {
            Value::Null => Ok(BTreeSet::new()),
            Value::String(text) => Ok(named(&text).into_iter().collect()),
            Value::Array(items) => items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| {
                    item.as_str()
                        .ok_or_else(|| self.failed("components", WRONG))
                })
                .filter_map(|item| item.map(named).transpose())
                .collect(),
            _ => Err(self.failed("components", WRONG)),
        }
    }

    fn component_status(&self) -> Result<ComponentStatus, String> {
        let expression = match &self.rule.component_status {
            StatusRule::Fixed(status) => return Ok(*status),
            StatusRule::Expression(expression) => expression,
        };
        let value = self.value("componentStatus", expression)?;
        value
            .as_str()
            .and_then(|text| text.parse().ok())
            .filter(|status| *status != ComponentStatus::Operational)
            .ok_or_else(|| {
                self.failed(
                    "componentStatus",
                    "gave something other than degraded_performance, partial_outage, major_outage or under_maintenance",
                )
            })
    }

    /// The first output; none counts as null.
    fn value(&self, key: &str, filter: &Arc<Filter>) -> Result<serde_json::Value, String> {
        let output = filter
            .first(self.input)
            .map_err(|error| self.failed(key, &format!("failed: {error}")))?;
        match output {
            None => Ok(serde_json::Value::Null),
            Some(value) => jq::from_val(&value, self.limits)
                .map_err(|error| self.failed(key, &format!("failed: {error}"))),
        }
    }

    fn failed(&self, key: &str, problem: &str) -> String {
        format!("`{key}` of the rule `{}` {problem}", self.rule.name)
    }
}
