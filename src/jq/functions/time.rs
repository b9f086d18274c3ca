//! Dates. Everything is in UTC: what a mapping yields must not depend on the
//! machine it runs on, and reading the local time zone is reading a file.

use jaq_core::ValR;
use jaq_core::native::{bome, unary, v};
use jaq_json::Val;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, fmt::strtime};

use super::Plain;
use crate::jq::fuel;
use crate::jq::value::{Bounded, Error, described, error, excerpt, number, spent, to_f64};

pub(super) fn functions() -> Box<[Plain]> {
    Box::new([
        ("strptime", v(1), |cv| {
            unary(cv, |text, format| parse(&text, &format))
        }),
        ("strftime", v(1), |cv| {
            unary(cv, |time, format| formatted(&time, &format))
        }),
        ("gmtime", v(0), |cv| {
            bome(timestamp(&cv.1).map(|time| broken_down(Offset::UTC.to_datetime(time))))
        }),
        ("mktime", v(0), |cv| {
            bome(seconds(&cv.1).map(|seconds| Bounded::scalar(number(seconds))))
        }),
    ])
}

fn no_date(value: &Bounded) -> Error {
    error(format!("{} is not a date", described(value)))
}

/// Seconds since 1970 as a point in time.
#[expect(
    clippy::cast_possible_truncation,
    reason = "saturating, and then out of range"
)]
fn timestamp(value: &Bounded) -> Result<Timestamp, Error> {
    let seconds = value.as_number().filter(|seconds| seconds.is_finite());
    let timestamp = seconds.and_then(|seconds| {
        let whole = seconds.floor();
        // Microseconds are what a double holds of a date in our times.
        let micros = ((seconds - whole) * 1e6).round() as i32;
        Timestamp::new(whole as i64, micros.min(999_999) * 1_000).ok()
    });
    timestamp.ok_or_else(|| no_date(value))
}

/// A broken down time as seconds since 1970. Fields may be beyond their
/// bounds: the 35th of a month is in the next one, month -1 in the year before.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "checked: fields are small"
)]
fn seconds(value: &Bounded) -> Result<f64, Error> {
    // Far more than any date has, and too little to overflow.
    const LARGEST: f64 = 1e12;
    let Val::Arr(items) = value.val() else {
        return Err(no_date(value));
    };
    let field = |item: &Val| match item {
        Val::Num(number) => Some(to_f64(number).trunc()).filter(|field| field.abs() < LARGEST),
        _ => None,
    };
    let fields: Option<Vec<f64>> = items.iter().take(6).map(field).collect();
    let Some([year, month, day, hour, minute, second]) = fields.as_deref() else {
        return Err(no_date(value));
    };
    let year = year + (month / 12.0).floor();
    let first = jiff::civil::Date::new(
        i16::try_from(year as i64).map_err(|_| no_date(value))?,
        month.rem_euclid(12.0) as i8 + 1,
        1,
    );
    let first = first.map_err(|_| no_date(value))?;
    let days = (first
        .duration_since(jiff::civil::date(1970, 1, 1))
        .as_hours()
        / 24) as f64;
    Ok((((days + day - 1.0) * 24.0 + hour) * 60.0 + minute) * 60.0 + second)
}

fn formatted(value: &Bounded, format: &Bounded) -> ValR<Bounded> {
    let Some(pattern) = format.as_text() else {
        return Err(super::refused("strftime", "a format", format));
    };
    let timestamp = match value.val() {
        Val::Arr(_) => timestamp(&seconds(value)?.into()),
        _ => timestamp(value),
    }?;
    // What a directive becomes is a word or a number, unless it asks for padding.
    fuel::allocate(pattern.len().saturating_mul(64)).map_err(spent)?;
    strtime::format(pattern, &timestamp.to_zoned(TimeZone::UTC))
        .map(Bounded::text)
        .map_err(|cause| error(cause.to_string()))
}

fn parse(text: &Bounded, format: &Bounded) -> ValR<Bounded> {
    let (Some(time), Some(pattern)) = (text.as_text(), format.as_text()) else {
        return Err(error(format!(
            "strptime needs a string and a format, not {}",
            described(text)
        )));
    };
    // A zone's name carries no meaning here but may stand at the end.
    let (time, pattern) = match pattern.strip_suffix("%Z") {
        Some(pattern) => (
            time.trim_end_matches(|character: char| character.is_ascii_alphabetic()),
            pattern,
        ),
        None => (time, pattern),
    };
    parsed(time, pattern).map(broken_down).ok_or_else(|| {
        error(format!(
            "date {} does not match the format {}",
            excerpt(text.val()),
            excerpt(format.val())
        ))
    })
}

fn parsed(time: &str, pattern: &str) -> Option<DateTime> {
    let parsed = strtime::parse(pattern, time).ok()?;
    match parsed.to_timestamp() {
        Ok(timestamp) => Some(Offset::UTC.to_datetime(timestamp)),
        Err(_) => parsed
            .to_datetime()
            .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
            .ok(),
    }
}

/// Year, month from 0, day, hour, minute, second, day of the week and of the
/// year from 0.
fn broken_down(date: DateTime) -> Bounded {
    let seconds = f64::from(date.second()) + f64::from(date.subsec_nanosecond()) / 1e9;
    let fields = [
        f64::from(date.year()),
        f64::from(date.month() - 1),
        f64::from(date.day()),
        f64::from(date.hour()),
        f64::from(date.minute()),
        seconds,
        f64::from(date.weekday().to_sunday_zero_offset()),
        f64::from(date.day_of_year() - 1),
    ];
    fields
        .into_iter()
        .map(|field| Bounded::scalar(number(field)))
        .collect()
}
