//! Deleting entities, and what has to be known before: what this installation
//! last wrote when, and what relates to what.
//!
//! Everything here is safe to repeat: an entity that is gone already is as good
//! as deleted, and reading changes nothing. It all goes out as the exporter,
//! as whoever wrote the entities.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Inner, PortClient, is_absent, member, never};
use crate::api::ApiError;
use crate::api::error::shape;
use crate::http::{Expect, Reply, Request};

/// What Port gives at most in one page of a data source's entities.
const DATASOURCE_PAGE: u64 = 5000;

/// What Port gives at most in one page of a blueprint's entities.
const SEARCH_PAGE: u64 = 1000;

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    pub entities: Vec<T>,
    /// Where the next page begins; none after the last one.
    pub next: Option<String>,
}

/// What names an entity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct EntityName {
    pub blueprint: String,
    pub identifier: String,
}

/// An entity and what it relates to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RelatedEntity {
    pub identifier: String,
    /// By relation: an identifier, several, or null. None if Port did not say.
    pub relations: Option<Map<String, Value>>,
}

/// The relations of one blueprint, by name, and the blueprint at the other end
/// of each; none where the definition does not say.
pub type BlueprintRelations = BTreeMap<String, Option<String>>;

impl PortClient {
    /// A page of the entities that this installation, in whatever version, was
    /// the last to write, before that instant.
    pub async fn written_before(
        &self,
        before: Timestamp,
        from: Option<&str>,
    ) -> Result<Listed<EntityName>, ApiError> {
        let Inner {
            kind, identifier, ..
        } = &*self.0;
        let url = self.url(&["blueprints", "entities", "datasource-entities"]);
        let mut body = json!({
            "datasource_prefix": format!("port-ocean/{kind}/"),
            "datasource_suffix": format!("/{identifier}/exporter"),
            "before": before.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string(),
            "limit": DATASOURCE_PAGE,
        });
        if let Some(from) = from {
            body["from"] = from.into();
        }
        let reply = self.send(self.ask(&url, &body), never).await?;
        page(reply, |entity: &EntityName| {
            is_a_name(&entity.blueprint) && is_a_name(&entity.identifier)
        })
    }

    /// The relations of every blueprint there is.
    pub async fn relations(&self) -> Result<BTreeMap<String, BlueprintRelations>, ApiError> {
        #[derive(Deserialize)]
        struct Blueprint {
            identifier: String,
            #[serde(default)]
            relations: Map<String, Value>,
        }
        let url = self.url(&["blueprints"]);
        let reply = self.send(self.request(Method::GET, &url), never).await?;
        let blueprints: Vec<Blueprint> = member(reply, "blueprints")?;
        let targets = |relations: Map<String, Value>| {
            let target = |relation: Value| relation.get("target")?.as_str().map(str::to_owned);
            relations
                .into_iter()
                .map(|(name, relation)| (name, target(relation)))
                .collect()
        };
        Ok(blueprints
            .into_iter()
            .map(|blueprint| (blueprint.identifier, targets(blueprint.relations)))
            .collect())
    }

    /// A page of those entities of a blueprint that have to do with any of the
    /// entities `of` of another one, with their `relations`. Port follows
    /// relations in both directions and across several entities, so what comes
    /// back need not relate to `of` itself.
    pub async fn related_entities(
        &self,
        blueprint: &str,
        relations: &[&str],
        (other, of): (&str, &[String]),
        from: Option<&str>,
    ) -> Result<Listed<RelatedEntity>, ApiError> {
        let url = self.url(&["blueprints", blueprint, "entities", "search"]);
        let include: Vec<&str> = [&["$identifier"], relations].concat();
        let mut body = json!({
            "query": {
                "combinator": "and",
                "rules": [{"operator": "relatedTo", "blueprint": other, "value": of}],
            },
            "include": include,
            "limit": SEARCH_PAGE,
        });
        if let Some(from) = from {
            body["from"] = from.into();
        }
        let reply = self.send(self.ask(&url, &body), never).await?;
        page(reply, |entity: &RelatedEntity| {
            is_a_name(&entity.identifier)
        })
    }

    /// Deletes up to 100 entities and everything that relates to them, directly
    /// or not.
    pub async fn delete_entities(
        &self,
        blueprint: &str,
        identifiers: &[String],
    ) -> Result<(), ApiError> {
        let mut url = self.url(&["blueprints", blueprint, "bulk", "entities", "delete"]);
        url.query_pairs_mut()
            .append_pair("delete_dependents", "true");
        let request = self
            .ask(&url, &json!({ "entities": identifiers }))
            .expect(Expect::Success);
        // Of several, one may be missing and the others not.
        let accepted = if identifiers.len() == 1 {
            is_absent
        } else {
            never
        };
        self.send(request, accepted).await.map(drop)
    }

    /// Deletes one entity, unless another relates to it.
    pub async fn delete_entity(&self, blueprint: &str, identifier: &str) -> Result<(), ApiError> {
        let mut url = self.url(&["blueprints", blueprint, "entities", identifier]);
        url.query_pairs_mut()
            .append_pair("delete_dependents", "false");
        let request = self
            .request(Method::DELETE, &url)
            .header(USER_AGENT, self.0.exporter.clone())
            .safe_to_repeat()
            .expect(Expect::Success);
        self.send(request, is_absent).await.map(drop)
    }

    fn ask(&self, url: &Url, body: &Value) -> Request<'_> {
        self.request(Method::POST, url)
            .header(USER_AGENT, self.0.exporter.clone())
            .json(body.to_string())
            .safe_to_repeat()
    }
}

/// A page is understood as a whole or not at all: who skips an entity that it
/// cannot read counts wrong, and here counting decides.
fn page<T: for<'de> Deserialize<'de>>(
    mut reply: Reply,
    is_usable: fn(&T) -> bool,
) -> Result<Listed<T>, ApiError> {
    #[derive(Deserialize)]
    struct Page<T> {
        entities: Vec<T>,
        #[serde(default)]
        next: Option<String>,
    }
    let body = reply.body.take();
    let found = shape(body.as_ref());
    let malformed = |problem: String| ApiError::malformed(&reply, problem);
    let page: Page<T> = serde_json::from_value(body.unwrap_or_default())
        .map_err(|_| malformed(format!("it is not a page of entities but {found}")))?;
    if !page.entities.iter().all(is_usable) {
        return Err(malformed(
            "an entity of the page has no identifier".to_owned(),
        ));
    }
    Ok(Listed {
        entities: page.entities,
        next: page.next.filter(|next| !next.is_empty()),
    })
}

/// Port has no others. In an address these would vanish, and the request would
/// mean something else.
fn is_a_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{asked, client, port, refusal};
    use super::*;
    use crate::http::testing::Answer;

    const EXPORTER: &str = concat!(
        "port-ocean/statuspage/",
        env!("CARGO_PKG_VERSION"),
        "/my-statuspage/exporter"
    );

    #[tokio::test]
    async fn what_this_installation_wrote_is_read_page_by_page() {
        let entity = json!({"identifier": "a/b", "blueprint": "part", "title": "ignored"});
        let server = port([
            Answer::json(&json!({"ok": true, "entities": [entity], "next": "cursor"})),
            Answer::json(&json!({"ok": true, "entities": [], "next": ""})),
        ])
        .await;
        let client = client(&server);
        let before = "2026-06-01T12:00:00.5Z".parse().unwrap();

        let first = client.written_before(before, None).await.unwrap();
        let second = client.written_before(before, first.next.as_deref()).await;

        let name = EntityName {
            blueprint: "part".to_owned(),
            identifier: "a/b".to_owned(),
        };
        assert_eq!(first.entities, [name]);
        assert_eq!(second.unwrap().next, None);
        let asked = asked(&server);
        assert_eq!(
            asked[1].json(),
            json!({
                "datasource_prefix": "port-ocean/statuspage/",
                "datasource_suffix": "/my-statuspage/exporter",
                "before": "2026-06-01T12:00:00.500000+00:00",
                "limit": 5000,
                "from": "cursor",
            })
        );
        assert_eq!(asked[0].header("user-agent"), EXPORTER);
    }

    #[tokio::test]
    async fn a_page_that_cannot_be_read_whole_is_an_error() {
        for body in [
            json!({"ok": true}),
            json!({"entities": [{"identifier": "a"}]}),
            json!({"entities": [{"identifier": "..", "blueprint": "part"}]}),
            json!({"entities": [{"identifier": "", "blueprint": "part"}]}),
            json!({"entities": [], "next": 5}),
        ] {
            let server = port([Answer::json(&body)]).await;
            let before = "2026-06-01T12:00:00Z".parse().unwrap();
            let page = client(&server).written_before(before, None).await;
            assert!(matches!(page, Err(ApiError::Malformed { .. })), "{body}");
        }
    }

    #[tokio::test]
    async fn relations_are_read_from_all_blueprints() {
        let server = port([Answer::json(&json!({"ok": true, "blueprints": [
            {"identifier": "part", "relations": {"of": {"target": "whole"}, "odd": {}}},
            {"identifier": "whole"},
        ]}))])
        .await;

        let relations = client(&server).relations().await.unwrap();

        let part = BTreeMap::from([
            ("odd".to_owned(), None),
            ("of".to_owned(), Some("whole".to_owned())),
        ]);
        assert_eq!(relations["part"], part);
        assert!(relations["whole"].is_empty());
    }

    #[tokio::test]
    async fn related_entities_are_searched_for_in_one_blueprint() {
        let server = port([Answer::json(&json!({"ok": true, "entities": [
            {"identifier": "p", "relations": {"of": "w"}}, {"identifier": "q"},
        ]}))])
        .await;
        let of = ["w".to_owned(), "v".to_owned()];

        let page = client(&server)
            .related_entities("part", &["of"], ("whole", &of), Some("cursor"))
            .await
            .unwrap();

        assert_eq!(page.entities[0].relations.as_ref().unwrap()["of"], "w");
        assert_eq!(page.entities[1].relations, None);
        let asked = &asked(&server)[0];
        assert_eq!(asked.target, "/v1/blueprints/part/entities/search");
        assert_eq!(
            asked.json(),
            json!({
                "query": {"combinator": "and", "rules": [
                    {"operator": "relatedTo", "blueprint": "whole", "value": ["w", "v"]},
                ]},
                "include": ["$identifier", "of"],
                "limit": 1000,
                "from": "cursor",
            })
        );
        assert_eq!(asked.header("user-agent"), EXPORTER);
    }

    #[tokio::test]
    async fn entities_are_deleted_as_the_exporter_and_again_after_an_error() {
        let done = || Answer::json(&json!({"ok": true, "deletedEntities": []}));
        let server = port([Answer::status(503), done(), Answer::status(503), done()]).await;
        let client = client(&server);

        client
            .delete_entities("part", &["a/b".to_owned()])
            .await
            .unwrap();
        client.delete_entity("part", "a/b?ü").await.unwrap();

        let asked = asked(&server);
        let targets: Vec<&str> = asked
            .iter()
            .map(|request| request.target.as_str())
            .collect();
        let bulk = "/v1/blueprints/part/bulk/entities/delete?delete_dependents=true";
        let single = "/v1/blueprints/part/entities/a%2Fb%3F%C3%BC?delete_dependents=false";
        assert_eq!(targets, [bulk, bulk, single, single]);
        assert_eq!(asked[1].json(), json!({"entities": ["a/b"]}));
        assert!(
            asked
                .iter()
                .all(|request| request.header("user-agent") == EXPORTER)
        );
    }

    #[tokio::test]
    async fn what_is_gone_already_is_as_good_as_deleted() {
        let gone = || refusal(404, "not_found", "There is no such entity");
        let server = port([gone(), gone(), gone(), Answer::status(404)]).await;
        let client = client(&server);
        let (one, two) = (["a".to_owned()], ["a".to_owned(), "b".to_owned()]);

        client.delete_entity("part", "a").await.unwrap();
        client.delete_entities("part", &one).await.unwrap();

        let several = client.delete_entities("part", &two).await.unwrap_err();
        assert_eq!(several.status(), Some(404), "which of them is not said");
        // A gateway's 404 says nothing about the entity.
        let elsewhere = client.delete_entity("part", "a").await.unwrap_err();
        assert_eq!(elsewhere.status(), Some(404));
    }
}
