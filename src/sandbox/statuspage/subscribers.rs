//! Subscribers: who is told of what happens on a page.
//!
//! A page takes webhook subscribers only where its settings say so. Somebody who
//! subscribes twice is there twice and is told twice. One whose address keeps
//! failing is quarantined: told of nothing, and not on the list unless that is
//! asked for.

use serde_json::{Value, json};

use super::super::chassis::{Reply, Request};
use super::body;
use super::{Simulator, Statuspage, error, stamp, text_at};

impl Statuspage {
    /// A new subscriber.
    pub(super) fn subscribe(&mut self, page: &str, request: &Request) -> Result<Reply, Reply> {
        let mut fields = body::subscriber(request)?;
        let is_webhook = fields.contains_key("endpoint");
        let mode = match (is_webhook, fields.contains_key("email")) {
            (true, _) => "webhook",
            (false, true) => "email",
            _ => return Err(error(422, "email, endpoint or phone number is required")),
        };
        let takes_webhooks = self
            .table("statuspage")
            .get(page)
            .is_some_and(|page| page["allow_webhook_subscribers"] != false);
        if is_webhook && !takes_webhooks {
            let reason = "Webhook subscriptions are not enabled for this page";
            return Err(error(422, reason));
        }
        let id = self.new_id();
        let components = fields.remove("component_ids").unwrap_or_default();
        let subscriber = json!({
            "id": id, "page_id": page, "mode": mode,
            "email": fields.get("email"), "endpoint": fields.get("endpoint"),
            "phone_number": null, "phone_country": null, "quarantined_at": null,
            "purge_at": null, "components": components, "page_access_user_id": null,
            "skip_confirmation_notification": fields
                .get("skip_confirmation_notification")
                .is_some_and(|skip| *skip == true),
            "created_at": stamp(self.clock.now()),
        });
        self.insert("subscriber", &subscriber);
        Ok(Reply::json(201, &subscriber))
    }

    pub(super) fn unsubscribe(&mut self, page: &str, id: &str) -> Result<Reply, Reply> {
        let text = self.row_of("subscriber", page, id)?.text.to_string();
        self.table_mut("subscriber").remove(id);
        Ok(Reply::raw_json(200, text))
    }

    /// Lets those go on that were quarantined: some by their identifiers, or all.
    pub(super) fn reactivate(&mut self, page: &str, request: &Request) -> Result<Reply, Reply> {
        let body = request
            .json()
            .ok_or_else(|| error(400, "The body must be JSON"))?;
        let mode = body["type"].as_str();
        let ids: Vec<String> = match &body["subscribers"] {
            Value::String(all) if all == "all" => {
                let quarantined = self.of_page("subscriber", page).filter(|row| {
                    row.facts.endpoint_state == "quarantined"
                        && mode.is_none_or(|mode| row.facts.kind == mode)
                });
                quarantined.map(|row| row.id.clone()).collect()
            }
            Value::Array(ids) => ids
                .iter()
                .map(|id| id.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| error(422, "subscribers must be identifiers"))?,
            _ => return Err(error(422, "subscribers must be a list, or all")),
        };
        for id in &ids {
            self.row_of("subscriber", page, id)?;
        }
        for id in &ids {
            self.table_mut("subscriber").update(id, |subscriber| {
                subscriber["quarantined_at"] = Value::Null;
                subscriber["purge_at"] = Value::Null;
            });
        }
        Ok(Reply::json(201, &json!({})))
    }
}

impl Simulator<Statuspage> {
    /// The subscribers of a page, in the order in which they came.
    pub fn subscribers(&self, page: &str) -> Vec<Value> {
        let all = self.objects("subscriber").into_iter();
        all.filter(|one| text_at(one, "page_id") == page).collect()
    }

    /// What an hour of failed deliveries leads to; false when there is no such
    /// subscriber.
    pub fn quarantine(&self, subscriber: &str) -> bool {
        self.world(|world| {
            let now = world.clock.now();
            let purge = now.saturating_add(jiff::SignedDuration::from_hours(90 * 24));
            let (now, purge) = (stamp(now), stamp(purge.unwrap_or(now)));
            world.table_mut("subscriber").update(subscriber, |one| {
                one["quarantined_at"] = now.into();
                one["purge_at"] = purge.into();
            })
        })
    }
}
