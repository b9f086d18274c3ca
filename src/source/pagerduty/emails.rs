//! E-mail addresses by user, listed once a resync.
//!
//! Schedules name their users without an address. Where the kind `users` is
//! mapped, its listing is shared; otherwise the users are listed for this alone.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{OnceCell, watch};

use super::listing::{self, Receiver};
use super::query::Request;
use crate::api::PagerdutyClient;
use crate::source::SourceError;
use crate::source::reading::Reading;

type Addresses = Arc<HashMap<String, Value>>;

/// Where the addresses come from.
pub(super) enum Emails {
    /// The listing of users shares what it sees.
    Shared(watch::Sender<Listed>),
    /// Nobody lists the users but those who ask.
    Own(OnceCell<Result<Addresses, Arc<SourceError>>>),
}

/// The addresses as the listing of users comes to know them.
#[derive(Clone)]
pub(super) enum Listed {
    Running,
    Complete(Addresses),
    /// The listing ended early.
    Incomplete,
}

impl Emails {
    pub(super) fn new(users_are_listed: bool) -> Self {
        if users_are_listed {
            Self::Shared(watch::Sender::new(Listed::Running))
        } else {
            Self::Own(OnceCell::new())
        }
    }

    /// For the listing of users: a place to note what it sees.
    pub(super) fn notes(&self) -> Option<EmailNotes> {
        match self {
            Self::Shared(shared) => Some(EmailNotes {
                shared: shared.clone(),
                noted: EmailsByUser::default(),
                complete: false,
            }),
            Self::Own(_) => None,
        }
    }

    /// The addresses; none when the listing that shares them ended early, which
    /// it says itself. Waits for that listing, so it has to have been started.
    pub(super) async fn get(
        &self,
        client: &PagerdutyClient,
    ) -> Result<Option<Addresses>, Arc<SourceError>> {
        match self {
            Self::Shared(shared) => {
                let mut shared = shared.subscribe();
                let listed = shared
                    .wait_for(|listed| !matches!(listed, Listed::Running))
                    .await;
                Ok(match listed.as_deref() {
                    Ok(Listed::Complete(emails)) => Some(Arc::clone(emails)),
                    Ok(Listed::Running | Listed::Incomplete) | Err(_) => None,
                })
            }
            Self::Own(own) => own
                .get_or_init(async || {
                    let mut emails = EmailsByUser::default();
                    listing::run(
                        client,
                        &Request::plain("users"),
                        &Reading::whole(),
                        &mut emails,
                    )
                    .await
                    .map_err(Arc::new)?;
                    Ok(Arc::new(emails.0))
                })
                .await
                .clone()
                .map(Some),
        }
    }
}

/// E-mail addresses by user.
#[derive(Default)]
struct EmailsByUser(HashMap<String, Value>);

impl EmailsByUser {
    fn note(&mut self, users: &[Value]) {
        self.0.extend(users.iter().filter_map(|user| {
            let email = user.get("email").filter(|email| email.is_string())?;
            Some((id(user)?.to_owned(), email.clone()))
        }));
    }
}

impl Receiver for EmailsByUser {
    async fn take(&mut self, users: Vec<Value>) -> Result<(), SourceError> {
        self.note(&users);
        Ok(())
    }
}

/// Notes e-mail addresses while the users are listed for their own sake.
///
/// Dropped before [`EmailNotes::complete`] was called, it tells those who wait
/// that the listing came to nothing.
pub(super) struct EmailNotes {
    shared: watch::Sender<Listed>,
    noted: EmailsByUser,
    complete: bool,
}

impl EmailNotes {
    /// Notes the users of one page.
    pub(super) fn note(&mut self, users: &[Value]) {
        self.noted.note(users);
    }

    /// The listing came to its end.
    pub(super) fn complete(mut self) {
        self.complete = true;
    }
}

impl Drop for EmailNotes {
    fn drop(&mut self) {
        let noted = std::mem::take(&mut self.noted.0);
        self.shared.send_replace(if self.complete {
            Listed::Complete(Arc::new(noted))
        } else {
            Listed::Incomplete
        });
    }
}

/// Sets `__email` on each user of each schedule whose address is known.
pub(super) fn attach(schedules: &mut [Value], emails: &HashMap<String, Value>) {
    let users = schedules
        .iter_mut()
        .filter_map(|schedule| schedule.get_mut("users")?.as_array_mut())
        .flatten();
    for user in users {
        let email = id(user).and_then(|id| emails.get(id)).cloned();
        if let (Some(email), Some(user)) = (email, user.as_object_mut()) {
            user.insert("__email".to_owned(), email);
        }
    }
}

fn id(object: &Value) -> Option<&str> {
    object.get("id")?.as_str()
}
