//! What several datasets of one resync need, fetched once: whole lists, teams,
//! on-calls, and which alerts belong to which incident.
//!
//! A list that enrichment needs whole is kept, and the dataset of that list is
//! served from what is kept. Nothing in here waits for a dataset, so that
//! datasets which need each other's objects cannot wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::listing;
use super::query::Request;
use crate::api::{ApiError, OpsgenieClient, OpsgenieList, Worth};
use crate::source::SourceError;
use crate::source::compact::Compact;
use crate::source::patience::Patience;
use crate::source::reading::Reading;

/// Requests for one object each that are under way at a time.
pub(super) const AT_A_TIME: usize = 8;

type Objects = Arc<Vec<Value>>;
type Listed = Result<Objects, Arc<SourceError>>;

/// A whole list, fetched when it is first needed.
pub(super) struct Kept {
    request: Request,
    worth: Worth,
    objects: OnceCell<Listed>,
}

impl Kept {
    /// `worth`: whether a dataset is served from it.
    pub(super) fn new(list: OpsgenieList, worth: Worth) -> Self {
        Self {
            request: Request::whole(list),
            worth,
            objects: OnceCell::new(),
        }
    }

    pub(super) async fn get(&self, client: &OpsgenieClient) -> Listed {
        let fetch = async || {
            let mut objects = Vec::new();
            listing::run(
                client,
                &self.request,
                self.worth,
                &Reading::whole(),
                &mut objects,
            )
            .await
            .map_err(Arc::new)?;
            Ok(Arc::new(objects))
        };
        self.objects.get_or_init(fetch).await.clone()
    }
}

/// What came of asking for one object: none when it is gone.
pub(super) type Answer = Result<Option<Compact>, Arc<ApiError>>;

type Asked = Shared<BoxFuture<'static, Answer>>;

/// Objects by their identifier, each asked for once.
#[derive(Default)]
pub(super) struct Details {
    asked: Mutex<HashMap<String, Asked>>,
    patience: Arc<Patience>,
}

impl Details {
    /// The answer for `id`, asking with `ask` if nobody has; none once asking
    /// is no longer worth it.
    pub(super) async fn get<Fetch>(
        &self,
        id: &str,
        ask: impl FnOnce(String) -> Fetch,
    ) -> Option<Answer>
    where
        Fetch: Future<Output = Result<Option<Value>, ApiError>> + Send + 'static,
    {
        let request: Asked = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            match asked.get(id) {
                Some(request) => request.clone(),
                None if self.patience.is_over() => return None,
                None => {
                    let fetch = ask(id.to_owned());
                    let patience = Arc::clone(&self.patience);
                    // However many wait for it, it counts once.
                    let request = async move {
                        match fetch.await {
                            Ok(object) => {
                                patience.succeeded();
                                Ok(object.as_ref().map(Compact::from))
                            }
                            Err(error) => {
                                patience.failed(&error);
                                Err(Arc::new(error))
                            }
                        }
                    }
                    .boxed()
                    .shared();
                    asked.insert(id.to_owned(), request.clone());
                    request
                }
            }
        };
        Some(request.await)
    }
}

/// Which incident an alert belongs to.
#[derive(Default)]
pub(super) struct Associations {
    /// Places in the list of incidents, by alert.
    pub(super) incidents: HashMap<String, usize>,
    /// Why an alert that is not among them may belong to an incident all the
    /// same.
    pub(super) unknown: Option<Arc<ApiError>>,
}

impl Associations {
    /// Asks for the alerts of every incident. Of several incidents of one alert,
    /// the last one counts, which is the newest.
    pub(super) async fn of(client: &OpsgenieClient, incidents: &[Value]) -> Self {
        let patience = Patience::default();
        let ask = async |place: usize, incident: &Value| {
            let id = incident.get("id").and_then(Value::as_str)?;
            if patience.is_over() {
                return None;
            }
            let answer = client.associated_alerts(id).await;
            match &answer {
                Ok(_) => patience.succeeded(),
                Err(error) => patience.failed(error),
            }
            Some((place, answer))
        };
        let requests: Vec<_> = incidents
            .iter()
            .enumerate()
            .map(|(place, incident)| ask(place, incident))
            .collect();
        let mut answers = futures_util::stream::iter(requests).buffered(AT_A_TIME);
        let mut associations = Self::default();
        while let Some(answer) = answers.next().await {
            match answer {
                Some((place, Ok(alerts))) => {
                    // An incident that is gone has no alerts any more.
                    let alerts = alerts.into_iter().flatten();
                    associations
                        .incidents
                        .extend(alerts.map(|alert| (alert, place)));
                }
                Some((_, Err(error))) => {
                    associations.unknown.get_or_insert_with(|| Arc::new(error));
                }
                // The patience is over, which an error has brought about.
                None => {}
            }
        }
        associations
    }
}
