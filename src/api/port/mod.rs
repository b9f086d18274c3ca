//! Port's REST API, version 1.
//!
//! Port stores the User-Agent of an entity's last writer and tells by it whose
//! the entity is, so its form is a contract: see [`PortClient::new`]. Calls
//! that write, delete or search for entities, or write blueprints, carry the
//! suffix `/exporter`, all others do not.
//!
//! Writing entities is safe to repeat, since they are upserted; so are deleting
//! them and reporting how a resync stands. Creating anything else is not:
//! repeated after an answer was lost, it would be refused as already there.

mod change_log;
mod delete;
mod ingest;
mod integration;
mod kafka;
mod login;
mod page;
mod resync_request;
mod search;
#[cfg(test)]
mod tests;
mod upsert;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

use self::login::Login;
use super::error::shape;
use super::{ApiError, BaseUrl};
use crate::http::{
    BuildError, Expect, HttpClient, LastAnswer, Pacer, RateHeaders, Reply, Request, RetryPolicy,
};
use crate::settings::{IntegrationSettings, OutboundSettings, PortSettings};

pub use self::change_log::{ChangeLogMessage, Changed};
pub use self::delete::{BlueprintRelations, EntityName, Listed, RelatedEntity};
pub use self::ingest::{KindMetrics, MetricsOrigin, SyncState};
pub use self::integration::{
    Integration, IntegrationPatch, NewIntegration, Organization, ResyncState, ResyncStatus,
};
pub use self::kafka::KafkaCredentials;
pub use self::resync_request::ResyncWish;
pub use self::search::Shown;
pub use self::upsert::{BulkOutcome, EntityFailure, UpsertOptions};

/// The version that this integration reports.
pub const INTEGRATION_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of Ocean whose contract is kept; Port chooses features by it.
pub const CORE_VERSION: &str = "0.48.12";

/// What one attempt may take. The setting for it is for third parties only.
const DEADLINE: Duration = Duration::from_mins(1);

/// Talks to Port as one integration; cheap to clone.
#[derive(Clone)]
pub struct PortClient(Arc<Inner>);

struct Inner {
    http: HttpClient,
    /// For what is told beside the catalog.
    beside: HttpClient,
    base: BaseUrl,
    login: Login,
    identifier: String,
    kind: String,
    agent: HeaderValue,
    exporter: HeaderValue,
    policy: RetryPolicy,
    start: RetryPolicy,
}

impl PortClient {
    /// The User-Agent is
    /// `port-ocean/{type}/{integration version}/{identifier}[/exporter]`.
    pub fn new(
        port: &PortSettings,
        integration: &IntegrationSettings,
        outbound: &OutboundSettings,
    ) -> Result<Self, BuildError> {
        let IntegrationSettings {
            identifier, kind, ..
        } = integration;
        let agent = format!("port-ocean/{kind}/{INTEGRATION_VERSION}/{identifier}");
        let header = |text: String| {
            HeaderValue::from_bytes(text.as_bytes()).map_err(|_| BuildError::Header {
                what: "the integration's type or identifier",
            })
        };
        let exporter = header(format!("{agent}/exporter"))?;
        let agent = header(agent)?;

        let base = BaseUrl::new(&port.base_url)?;
        let pacer = Pacer::shared("Port", base.authority(), &port.client_id, None);
        let http = HttpClient::new(
            outbound,
            outbound.verify_port,
            DEADLINE,
            pacer,
            RateHeaders::XRateLimit,
        )?;
        let beside = http.apart(Pacer::new("Port", None), ingest::DEADLINE);
        let login = Login::new(
            base.join(["v1", "auth", "access_token"]),
            port.client_id.clone(),
            port.client_secret.clone(),
            agent.clone(),
        );
        Ok(Self(Arc::new(Inner {
            http,
            beside,
            base,
            login,
            identifier: identifier.clone(),
            kind: kind.clone(),
            agent,
            exporter,
            policy: RetryPolicy::STANDARD,
            start: RetryPolicy::START,
        })))
    }

    #[cfg(test)]
    pub(super) fn with_policy(self, policy: RetryPolicy) -> Self {
        let inner = Arc::into_inner(self.0).unwrap();
        Self(Arc::new(Inner {
            start: policy.clone(),
            policy,
            ..inner
        }))
    }

    /// Logs in now. Other calls log in by themselves when they have to; this
    /// is for finding out early whether the credentials are right.
    pub async fn log_in(&self) -> Result<(), ApiError> {
        self.0
            .login
            .log_in(&self.0.http, &self.0.start)
            .await
            .map(drop)
    }

    /// What came with its last answer: the time, and what is left of the rate limit.
    pub fn last_answer(&self) -> Option<LastAnswer> {
        self.0.http.last_answer()
    }

    /// This integration, if it has been registered.
    pub async fn integration(&self) -> Result<Option<Integration>, ApiError> {
        let mut url = self.url(&["integration", &self.0.identifier]);
        url.query_pairs_mut()
            .append_pair("oceanCoreVersion", CORE_VERSION)
            .append_pair("isPolling", "false");
        let reply = self
            .send(self.request(Method::GET, &url), is_absent)
            .await?;
        if is_absent(&reply) {
            return Ok(None);
        }
        member(reply, "integration").map(Some)
    }

    /// Registers this integration.
    pub async fn create_integration(&self, new: &NewIntegration) -> Result<(), ApiError> {
        let mut url = self.url(&["integration"]);
        if new.create_port_resources_origin.as_deref() == Some("Port") {
            url.query_pairs_mut()
                .append_pair("integration_modes", "create_resources");
        }
        let mut body = json!({
            "installationId": self.0.identifier,
            "installationAppType": self.0.kind,
            "version": INTEGRATION_VERSION,
            "changelogDestination": new.changelog_destination,
            "actionsProcessingEnabled": false,
            "incrementalSyncEnabled": false,
        });
        if let Some(config) = &new.config {
            body["config"] = config.clone();
        }
        if let Some(origin) = &new.create_port_resources_origin {
            body["createPortResourcesOrigin"] = origin.as_str().into();
        }
        self.write(Method::POST, &url, &body).await
    }

    pub async fn patch_integration(&self, patch: &IntegrationPatch) -> Result<(), ApiError> {
        /// Every patch says which version made it.
        #[derive(Serialize)]
        struct Versioned<'patch> {
            #[serde(flatten)]
            patch: &'patch IntegrationPatch,
            version: &'static str,
        }
        let url = self.url(&["integration", &self.0.identifier]);
        let body = written(
            &Versioned {
                patch,
                version: INTEGRATION_VERSION,
            },
            "the integration",
        )?;
        let request = self
            .request(Method::PATCH, &url)
            .json(body)
            .expect(Expect::Success);
        self.send(request, never).await.map(drop)
    }

    /// Stores the mapping.
    pub async fn patch_config(&self, config: &Value) -> Result<(), ApiError> {
        let url = self.url(&["integration", &self.0.identifier, "config"]);
        self.write(Method::PATCH, &url, &json!({ "config": config }))
            .await
    }

    /// Says how the resync stands. Repeated when the answer is lost: otherwise
    /// Port would show a resync that never ends.
    pub async fn set_resync_state(&self, state: &ResyncState) -> Result<(), ApiError> {
        let url = self.url(&["integration", &self.0.identifier, "resync-state"]);
        let request = self
            .request(Method::PATCH, &url)
            .json(written(state, "the resync state")?)
            .safe_to_repeat()
            .expect(Expect::Success);
        self.send(request, never).await.map(drop)
    }

    /// The types of integration whose resources Port can create itself.
    pub async fn provisioned_types(&self) -> Result<Vec<String>, ApiError> {
        let url = self.url(&["integration", "provision-enabled"]);
        member(
            self.send(self.request(Method::GET, &url), never).await?,
            "integrations",
        )
    }

    pub async fn organization(&self) -> Result<Organization, ApiError> {
        let url = self.url(&["organization"]);
        member(
            self.send(self.request(Method::GET, &url), never).await?,
            "organization",
        )
    }

    /// A blueprint, if there is one of this name.
    pub async fn blueprint(&self, identifier: &str) -> Result<Option<Value>, ApiError> {
        let url = self.url(&["blueprints", identifier]);
        let reply = self
            .send(self.request(Method::GET, &url), is_absent)
            .await?;
        if is_absent(&reply) {
            return Ok(None);
        }
        let blueprint: Map<String, Value> = member(reply, "blueprint")?;
        Ok(Some(Value::Object(blueprint)))
    }

    pub async fn create_blueprint(&self, blueprint: &Value) -> Result<(), ApiError> {
        self.export(Method::POST, &self.url(&["blueprints"]), blueprint)
            .await
    }

    /// Changes the members that are given, at the top level.
    pub async fn patch_blueprint(&self, identifier: &str, patch: &Value) -> Result<(), ApiError> {
        self.export(Method::PATCH, &self.url(&["blueprints", identifier]), patch)
            .await
    }

    /// Deletes a blueprint; one that is gone already is as good.
    pub async fn delete_blueprint(&self, identifier: &str) -> Result<(), ApiError> {
        let url = self.url(&["blueprints", identifier]);
        let request = self.request(Method::DELETE, &url).expect(Expect::Success);
        self.send(request, is_absent).await.map(drop)
    }

    pub async fn create_action(&self, action: &Value) -> Result<(), ApiError> {
        self.write(Method::POST, &self.url(&["actions"]), action)
            .await
    }

    pub async fn create_scorecard(
        &self,
        blueprint: &str,
        scorecard: &Value,
    ) -> Result<(), ApiError> {
        let url = self.url(&["blueprints", blueprint, "scorecards"]);
        self.write(Method::POST, &url, scorecard).await
    }

    pub async fn create_page(&self, page: &Value) -> Result<(), ApiError> {
        self.write(Method::POST, &self.url(&["pages"]), page).await
    }

    /// Writes up to 20 entities, each given as JSON. Which of them Port did
    /// not take is part of the outcome; a status of 413 is for the caller, who
    /// sends fewer.
    pub async fn upsert_entities(
        &self,
        blueprint: &str,
        entities: &[Bytes],
        options: &UpsertOptions,
    ) -> Result<BulkOutcome, ApiError> {
        if entities.is_empty() {
            return Ok(BulkOutcome::default());
        }
        let mut url = self.url(&["blueprints", blueprint, "entities", "bulk"]);
        options.append_to(&mut url);
        let request = self
            .request(Method::POST, &url)
            .header(USER_AGENT, self.0.exporter.clone())
            .json(upsert::bulk_body(entities))
            .safe_to_repeat();
        let mut reply = self.send(request, never).await?;
        upsert::outcome(&mut reply, entities)
    }

    /// Writes one entity, given as JSON.
    pub async fn upsert_entity(
        &self,
        blueprint: &str,
        entity: &Bytes,
        options: &UpsertOptions,
    ) -> Result<(), ApiError> {
        let mut url = self.url(&["blueprints", blueprint, "entities"]);
        options.append_to(&mut url);
        let request = self
            .request(Method::POST, &url)
            .header(USER_AGENT, self.0.exporter.clone())
            .json(entity.clone())
            .safe_to_repeat()
            .expect(Expect::Success);
        self.send(request, never).await.map(drop)
    }

    fn url(&self, path: &[&str]) -> Url {
        self.0
            .base
            .join(std::iter::once("v1").chain(path.iter().copied()))
    }

    fn request(&self, method: Method, url: &Url) -> Request<'_> {
        Request::new(method, url.clone(), &self.0.policy).header(USER_AGENT, self.0.agent.clone())
    }

    async fn write(&self, method: Method, url: &Url, body: &Value) -> Result<(), ApiError> {
        let request = self
            .request(method, url)
            .json(body.to_string())
            .expect(Expect::Success);
        self.send(request, never).await.map(drop)
    }

    async fn export(&self, method: Method, url: &Url, body: &Value) -> Result<(), ApiError> {
        let request = self
            .request(method, url)
            .header(USER_AGENT, self.0.exporter.clone())
            .json(body.to_string())
            .expect(Expect::Success);
        self.send(request, never).await.map(drop)
    }

    /// Sends with a token, and once more with another when that was refused:
    /// it may have been withdrawn before its time. The reply is a success
    /// unless `accepted`.
    async fn send(
        &self,
        request: Request<'_>,
        accepted: fn(&Reply) -> bool,
    ) -> Result<Reply, ApiError> {
        let Inner {
            http,
            login,
            policy,
            ..
        } = &*self.0;
        let mut token = login.token(http, policy).await?;
        let mut request = request.header(AUTHORIZATION, token.header.clone());
        let mut reply = http.send(&request).await?;
        if reply.status == 401 {
            token = login.renew(http, policy, Some(&token)).await?;
            request = request.header(AUTHORIZATION, token.header.clone());
            reply = http.send(&request).await?;
        }
        if reply.is_success() || accepted(&reply) {
            return Ok(reply);
        }
        Err(ApiError::refused(
            reply,
            hint,
            &[login.secret(), token.text()],
        ))
    }
}

/// The member of a reply in which Port puts what was asked for.
fn member<T: DeserializeOwned>(mut reply: Reply, name: &str) -> Result<T, ApiError> {
    let value = reply
        .body
        .as_mut()
        .and_then(|body| body.get_mut(name))
        .map(Value::take);
    let found = shape(value.as_ref());
    serde_json::from_value(value.unwrap_or_default()).map_err(|_| {
        ApiError::malformed(
            &reply,
            format!("`{name}` is not what it should be but {found}"),
        )
    })
}

fn written(body: &impl Serialize, what: &'static str) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(|source| ApiError::Body { what, source })
}

fn never(_: &Reply) -> bool {
    false
}

/// A 404 that Port itself explains. One from elsewhere (a gateway, a mistyped
/// address) says nothing about the object; taken for "absent", it would make
/// Portolan register and create things anew.
fn is_absent(reply: &Reply) -> bool {
    reply.status == 404
        && reply
            .body
            .as_ref()
            .is_some_and(|body| body.get("error").is_some_and(Value::is_string))
}

fn hint(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(
            "Port refuses tokens that it has just given out: check OCEAN__PORT__CLIENT_ID and the clock of this machine",
        ),
        403 => Some(
            "the credentials in OCEAN__PORT__CLIENT_ID may not do this: use machine credentials of an administrator or moderator",
        ),
        404 => Some("check OCEAN__PORT__BASE_URL, and that the blueprint exists"),
        413 => Some("Port takes at most 1 MiB a request"),
        422 => Some("what was sent does not fit the blueprint, or is no valid definition"),
        429 => Some(
            "the limit counts for the whole organization: see what else writes to Port, or lower OCEAN__UPSERT_CONCURRENCY",
        ),
        _ => None,
    }
}
