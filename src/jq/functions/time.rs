//! Dates. Everything is in UTC: what a mapping yields must not depend on the
//! machine it runs on, and reading the local time zone is reading a file.

use jaq_core::ValR;
use jaq_core::native::{unary, v};

use super::Plain;
use crate::jq::value::{Bounded, described, error};

pub(super) fn functions() -> Box<[Plain]> {
    Box::new([("strptime", v(1), |cv| {
        unary(cv, |text, format| parse(&text, &format))
    })])
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
    broken_down(time, pattern).ok_or_else(|| {
        error(format!(
            "date {} does not match the format {}",
            crate::jq::value::excerpt(text.val()),
            crate::jq::value::excerpt(format.val())
        ))
    })
}

fn broken_down(time: &str, pattern: &str) -> Option<Bounded> {
    let parsed = jiff::fmt::strtime::parse(pattern, time).ok()?;
    let date = match parsed.to_timestamp() {
        Ok(timestamp) => jiff::tz::Offset::UTC.to_datetime(timestamp),
        Err(_) => parsed
            .to_datetime()
            .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
            .ok()?,
    };
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
    Some(
        fields
            .into_iter()
            .map(|field| Bounded::scalar(crate::jq::value::number(field)))
            .collect(),
    )
}
