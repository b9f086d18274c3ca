//! What each REST API offers: endpoints, wire types, paging; no policy.
//!
//! One client per vendor. A method is one request: it says which path, which
//! parameters, how patient to be, and turns the answer into a type or an
//! [`ApiError`]. What to ask for, in which order, and what to do with the
//! answer is decided elsewhere.
//!
//! A reply that is not what the vendor documents is an error, never an empty
//! list: silence would read as "everything was deleted".

mod credential;
mod error;
mod opsgenie;
mod pagerduty;
mod port;
mod statuspage;

use url::Url;

pub use error::ApiError;
pub use opsgenie::{
    Field, NextPage, OpsgenieClient, OpsgenieList, OpsgeniePage, OpsgenieQuery, Sign, Worth,
};
pub use pagerduty::{
    AnalyticsPage, CreatedSubscription, ListPage, NewWebhookSubscription, PagerdutyClient,
    SubscriptionPage, WebhookSubscription,
};
pub use port::{
    BlueprintRelations, BulkOutcome, CORE_VERSION, ChangeLogMessage, Changed, EntityFailure,
    EntityName, INTEGRATION_VERSION, Integration, IntegrationPatch, KafkaCredentials, KindMetrics,
    Listed, MetricsOrigin, NewIntegration, Organization, PortClient, RelatedEntity, ResyncState,
    ResyncStatus, ResyncWish, Shown, SyncState, UpsertOptions,
};
pub use statuspage::{StatuspageClient, WebhookSubscriber};

use crate::http::{BuildError, SafeUrl};

/// Objects asked for at once; the most that Statuspage, PagerDuty and Opsgenie give.
pub const PAGE_SIZE: usize = 100;

/// Where an API begins.
///
/// Paths are given segment by segment and percent-encoded, since identifiers
/// hold slashes; a slash at the end of the configured address is ignored.
#[derive(Clone, Debug)]
struct BaseUrl(Url);

impl BaseUrl {
    fn new(url: &Url) -> Result<Self, BuildError> {
        if url.cannot_be_a_base() || url.host_str().is_none() {
            return Err(BuildError::BaseUrl {
                url: SafeUrl::from(url),
            });
        }
        let mut base = url.clone();
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self(base))
    }

    fn join<'segments>(&self, path: impl IntoIterator<Item = &'segments str>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Whether this begins with the same scheme, host and port.
    fn is_origin_of(&self, url: &Url) -> bool {
        self.0.origin() == url.origin()
    }

    /// Host and port, which is what a rate limit is kept for.
    fn authority(&self) -> &str {
        self.0.authority()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_joined_without_a_double_slash_and_each_segment_is_encoded() {
        let table = [
            (
                "https://api.port.io",
                "https://api.port.io/v1/blueprints/a%2Fb%20c%3Fd",
            ),
            (
                "https://api.port.io/",
                "https://api.port.io/v1/blueprints/a%2Fb%20c%3Fd",
            ),
            (
                "https://gw.example.com/port/",
                "https://gw.example.com/port/v1/blueprints/a%2Fb%20c%3Fd",
            ),
        ];
        for (base, expected) in table {
            let base = BaseUrl::new(&Url::parse(base).unwrap()).unwrap();
            assert_eq!(
                base.join(["v1", "blueprints", "a/b c?d"]).as_str(),
                expected
            );
        }
    }

    #[test]
    fn an_address_without_a_host_is_refused() {
        let url = Url::parse("mailto:someone@example.com").unwrap();
        assert!(matches!(
            BaseUrl::new(&url),
            Err(BuildError::BaseUrl { .. })
        ));
    }
}
