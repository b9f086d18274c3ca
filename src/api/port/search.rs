//! Reading entities back from Port.
//!
//! Every question but one is limited to what this installation wrote last: Port keeps
//! the User-Agent of an entity's last writer as `$datasource`. The version in
//! the middle of it may have been another one, so its beginning and its end are
//! asked for.

use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde_json::{Value, json};

use super::{PortClient, member, never, page};
use crate::api::ApiError;

/// Entities that the paged search gives at once, at most.
const PAGE: usize = 1_000;

/// What to show of an entity beside its identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Fields of the entity itself: `title`, `team`, …
    pub fields: Vec<&'static str>,
    pub properties: Vec<String>,
    pub relations: Vec<String>,
    /// Everything there is, whatever stands above.
    pub all: bool,
}

impl PortClient {
    /// A page of this installation's entities of a blueprint, a thousand at a
    /// time. `from`: what the page before said. Gives what the next page is to be
    /// asked with; none after the last one.
    ///
    /// Each entity is handed to `take` while the page is read, so that one of them is
    /// in memory at a time; if the page has to be asked for again, once more.
    pub async fn entities_of_blueprint(
        &self,
        blueprint: &str,
        shown: &Shown,
        from: Option<&str>,
        take: impl FnMut(Value) + Send,
    ) -> Result<Option<String>, ApiError> {
        let mut body = json!({
            "query": {"combinator": "and", "rules": self.ownership()},
            "limit": PAGE,
        });
        if !shown.all {
            let meta = shown.fields.iter().map(|field| format!("${field}"));
            let include: Vec<String> = std::iter::once("$identifier".to_owned())
                .chain(meta)
                .chain(shown.properties.iter().cloned())
                .chain(shown.relations.iter().cloned())
                .collect();
            body["include"] = include.into();
        }
        if let Some(from) = from {
            body["from"] = from.into();
        }
        let url = self.url(&["blueprints", blueprint, "entities", "search"]);
        let request = self
            .request(Method::POST, &url)
            .header(USER_AGENT, self.0.exporter.clone())
            .json(body.to_string())
            .safe_to_repeat();
        let take = Mutex::new(take);
        let read = |body: &[u8]| {
            let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
            page::read(body, &mut *take)
        };
        let reply = self.send(request.reading(&read), never).await?;
        let next = reply.body.as_ref().and_then(|body| body.get("next"));
        let next = next.and_then(Value::as_str).filter(|next| !next.is_empty());
        let next = next.map(str::to_owned);
        // All have been taken, and an empty list stands in their place.
        member::<Vec<Value>>(reply, "entities")?;
        Ok(next)
    }

    /// Those of the named entities that are this installation's. For at most a
    /// few dozen names: they are part of the question.
    pub async fn entities_by_identifier(
        &self,
        blueprint: &str,
        identifiers: &[&str],
        shown: &Shown,
    ) -> Result<Vec<Value>, ApiError> {
        let mut rules = self.ownership();
        rules.push(json!({"property": "$identifier", "operator": "in", "value": identifiers}));
        rules.push(json!({"property": "$blueprint", "operator": "=", "value": blueprint}));
        self.search(rules, shown).await
    }

    async fn search(&self, rules: Vec<Value>, shown: &Shown) -> Result<Vec<Value>, ApiError> {
        let body = json!({"combinator": "and", "rules": rules});
        let mut url = self.url(&["entities", "search"]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("exclude_calculated_properties", "true");
            if !shown.all {
                query.append_pair("include", "identifier");
                query.append_pair("include", "blueprint");
                for field in &shown.fields {
                    query.append_pair("include", field);
                }
                for property in &shown.properties {
                    query.append_pair("include", &format!("properties.{property}"));
                }
                for relation in &shown.relations {
                    query.append_pair("include", &format!("relations.{relation}"));
                }
            }
        }
        let request = self
            .request(Method::POST, &url)
            .header(USER_AGENT, self.0.exporter.clone())
            .json(body.to_string())
            .safe_to_repeat();
        member(self.send(request, never).await?, "entities")
    }

    /// The entities of a blueprint that pass a rule, whoever wrote them. Not paged:
    /// for rules that few entities can pass.
    pub async fn entities_passing(
        &self,
        blueprint: &str,
        rule: &Value,
        shown: &Shown,
    ) -> Result<Vec<Value>, ApiError> {
        let of_blueprint = json!({"property": "$blueprint", "operator": "=", "value": blueprint});
        let rules = vec![of_blueprint, rule.clone()];
        self.search(rules, shown).await
    }

    /// Rules that only this installation's entities pass.
    fn ownership(&self) -> Vec<Value> {
        let contains = |text: String| json!({"property": "$datasource", "operator": "contains", "value": text});
        vec![
            contains(format!("port-ocean/{}/", self.0.kind)),
            contains(format!("/{}/exporter", self.0.identifier)),
        ]
    }
}
