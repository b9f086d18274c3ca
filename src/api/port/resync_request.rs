//! Whether somebody asked for a resync in Port.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::USER_AGENT;
use serde_json::Value;

use super::{PortClient, member, never};
use crate::api::ApiError;
use crate::http::{Request, RetryPolicy};

/// The question is asked again anyway, so it is not insisted on.
const PATIENCE: RetryPolicy = RetryPolicy {
    attempts: 2,
    total_wait: Duration::from_secs(30),
    ..RetryPolicy::START
};

/// The last request for a resync that Port knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncWish {
    /// When it was made.
    pub updated_at: Timestamp,
}

impl PortClient {
    /// The last request for a resync, served or not. One without a readable
    /// time is none.
    pub async fn resync_request(&self) -> Result<Option<ResyncWish>, ApiError> {
        let url = self.url(&["integration", &self.0.identifier, "resync-request"]);
        let request =
            Request::new(Method::GET, url, &PATIENCE).header(USER_AGENT, self.0.agent.clone());
        let wish: Value = member(self.send(request, never).await?, "request")?;
        Ok(wish
            .get("updatedAt")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .map(|updated_at| ResyncWish { updated_at }))
    }
}
