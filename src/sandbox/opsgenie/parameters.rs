//! Which part of a list is asked for, and in which order.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::super::chassis::{Reply, Request};
use super::Opsgenie;

const MAXIMUM_LIMIT: usize = 100;
/// No page of these may reach beyond this object.
const WALL: usize = 20_000;
const WALLED: [&str; 3] = ["alerts", "incidents", "services"];

/// The part of a list that was asked for.
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Page {
    pub(super) fn of(world: &Opsgenie, kind: &str, request: &Request) -> Result<Self, Reply> {
        let number = |name: &str, default: usize| {
            request.parameter(name).map_or(Ok(default), |text| {
                text.parse()
                    .map_err(|_| world.invalid(name, "must be a number"))
            })
        };
        let usual = if kind == "users" { 100 } else { 20 };
        let offset = number("offset", 0)?;
        let limit = number("limit", usual)?;
        if !(1..=MAXIMUM_LIMIT).contains(&limit) {
            return Err(world.invalid("limit", "must be between 1 and 100"));
        }
        if WALLED.contains(&kind) && offset.saturating_add(limit) > WALL {
            return Err(world.invalid("offset", "Sum of offset and limit must not exceed 20000"));
        }
        Ok(Self { offset, limit })
    }

    /// The addresses of this list's other pages. Each has everything that the
    /// request had.
    pub(super) fn paging(&self, world: &Opsgenie, request: &Request, total: usize) -> Value {
        let address = |offset: usize| {
            let kept = request.query.iter();
            let kept = kept.filter(|(name, _)| name != "offset" && name != "limit");
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("limit", &self.limit.to_string())
                .append_pair("offset", &offset.to_string())
                .extend_pairs(kept)
                .finish();
            format!("{}{}?{query}", world.pages_at, request.path)
        };
        let last = total.saturating_sub(1) / self.limit * self.limit;
        let mut paging = json!({"first": address(0), "last": address(last)});
        if self.offset + self.limit < total {
            paging["next"] = address(self.offset + self.limit).into();
        }
        if self.offset > 0 {
            paging["prev"] = address(self.offset.saturating_sub(self.limit)).into();
        }
        paging
    }
}

/// The field to sort by, if any, and whether from the highest down.
pub(super) fn sorting<'a>(
    world: &Opsgenie,
    request: &'a Request,
    names: [&str; 2],
    allowed: &[&str],
) -> Result<(Option<&'a str>, Option<bool>), Reply> {
    let field = names.iter().find_map(|name| request.parameter(name));
    if field.is_some_and(|field| !allowed.contains(&field)) {
        return Err(world.invalid("sort", &format!("must be one of [{}]", allowed.join(", "))));
    }
    let descending = match request.parameter("order") {
        None => None,
        Some("asc") => Some(false),
        Some("desc") => Some(true),
        Some(_) => return Err(world.invalid("order", "must be one of [asc, desc]")),
    };
    Ok((field, descending))
}
