//! Query parameters, checked as PagerDuty checks them.

use jiff::{Span, Timestamp, civil, tz::TimeZone};

use super::super::chassis::{Reply, Request};
use super::invalid;

const DEFAULT_LIMIT: usize = 25;
const MAXIMUM_LIMIT: usize = 100;
/// No page may reach beyond this object.
const WALL: usize = 10_000;

/// The part of a list that was asked for.
pub(super) struct Page {
    pub(super) offset: usize,
    pub(super) limit: usize,
    pub(super) with_total: bool,
}

impl Page {
    pub(super) fn of(request: &Request) -> Result<Self, Reply> {
        let offset = number(request, "offset")?.unwrap_or_default();
        // A limit above the maximum is cut down without a word.
        let limit = match number(request, "limit")?.unwrap_or(DEFAULT_LIMIT) {
            0 => return Err(invalid("Limit must be at least 1")),
            limit => limit.min(MAXIMUM_LIMIT),
        };
        if offset + limit > WALL {
            return Err(invalid("Offset plus limit must not exceed 10000"));
        }
        Ok(Self {
            offset,
            limit,
            with_total: flag(request, "total")?.unwrap_or_default(),
        })
    }
}

fn number(request: &Request, name: &str) -> Result<Option<usize>, Reply> {
    request
        .parameter(name)
        .map(|text| {
            text.parse()
                .map_err(|_| invalid(&format!("{name} must be a number")))
        })
        .transpose()
}

pub(super) fn flag(request: &Request, name: &str) -> Result<Option<bool>, Reply> {
    match request.parameter(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(invalid(&format!("{name} must be true or false"))),
    }
}

/// An instant; one without an offset is UTC, a date alone is its midnight.
pub(super) fn instant(request: &Request, name: &str) -> Result<Option<Timestamp>, Reply> {
    request
        .parameter(name)
        .map(|text| {
            let local = || text.parse::<civil::DateTime>()?.to_zoned(TimeZone::UTC);
            text.parse()
                .or_else(|_| local().map(|zoned| zoned.timestamp()))
                .map_err(|_| invalid(&format!("{name} must be a date")))
        })
        .transpose()
}

/// So many months earlier or later, by the calendar.
pub(super) fn months(instant: Timestamp, months: i64) -> Timestamp {
    instant
        .to_zoned(TimeZone::UTC)
        .checked_add(Span::new().months(months))
        .map_or(instant, |zoned| zoned.timestamp())
}

/// A list of values, each of which must be one of those allowed.
pub(super) fn choices<'a>(
    request: &'a Request,
    name: &str,
    allowed: &[&str],
) -> Result<Vec<&'a str>, Reply> {
    let values = request.parameters(name);
    match values.iter().find(|value| !allowed.contains(value)) {
        Some(_) => Err(invalid(&format!(
            "{name} must be among {}",
            allowed.join(", ")
        ))),
        None => Ok(values),
    }
}

/// The `sort_by` parameter: fields and whether each is descending.
pub(super) fn sorting<'a>(
    request: &'a Request,
    allowed: &[&str],
) -> Result<Vec<(&'a str, bool)>, Reply> {
    let Some(text) = request.parameter("sort_by") else {
        return Ok(Vec::new());
    };
    let keys = text.split(',').map(|key| match key.split_once(':') {
        None | Some((_, "asc")) => Ok((key.split(':').next().unwrap_or(key), false)),
        Some((field, "desc")) => Ok((field, true)),
        Some(_) => Err(invalid("sort_by must end in :asc or :desc")),
    });
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    if keys.len() > 2 || keys.iter().any(|(field, _)| !allowed.contains(field)) {
        return Err(invalid(&format!(
            "sort_by must be among {}",
            allowed.join(", ")
        )));
    }
    Ok(keys)
}
