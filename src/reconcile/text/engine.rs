//! The template engine, as strict as texts for the public need it, and what can be
//! found wrong with a template before there is an incident.

use std::{fmt, str::FromStr, sync::Arc};

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context,
    escape_formatter,
    value::{Enumerator, Object, ObjectRepr, Serde, ValueKind},
};

use super::{
    InvalidText, described,
    scope::{self, NAMES, Shape},
    shortened,
};
use crate::document::nearest;

/// The one template of an environment.
pub(super) const NAME: &str = "text";

/// Steps, and text of 64 bytes each, that one rendering may use: far more than the
/// longest body takes, and milliseconds.
const FUEL: u64 = 50_000;

/// How times are written where a text does not say.
const TIME_FORMAT: &str = "%H:%M %Z";

/// Functions that a template may call beside the names in scope.
const FUNCTIONS: &[&str] = &["range", "dict", "namespace"];

/// An environment that holds the one template.
pub(super) fn of(source: &str) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    // It shows everything that is in scope, to whoever reads the page.
    environment.remove_global("debug");
    // Without it, errors cannot say which expression they are about.
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(write);
    environment.add_filter("time", time);
    environment.add_template_owned(NAME, source.to_owned())?;
    Ok(environment)
}

/// Writes a value as people write it, or refuses to.
fn write(output: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let refused = match value.kind() {
        ValueKind::None => {
            "it is null; say what to write then, as in {{ … | default(\"…\", true) }}"
        }
        ValueKind::Seq | ValueKind::Iterable if !is_anything(value) => {
            "it is a list; join it, as in {{ … | join(\", \") }}"
        }
        ValueKind::Map => "it is an object; name the part of it that is meant",
        _ => return escape_formatter(output, state, value),
    };
    let kind = match value.kind() {
        ValueKind::None => ErrorKind::InvalidOperation,
        _ => ErrorKind::NonPrimitive,
    };
    Err(Error::new(kind, refused))
}

/// `{{ times.started | time("%H:%M %Z") }}`, in the time zone of the page.
fn time(state: &State, value: &Value, format: Option<&str>) -> Result<String, Error> {
    let format = format.unwrap_or(TIME_FORMAT);
    let written = |time: Timestamp, zone: TimeZone| {
        strtime::format(format, &time.to_zoned(zone)).map_err(|error| {
            let message = format!("{format:?} is no way to write a time: {error}");
            Error::new(ErrorKind::BadEscape, message)
        })
    };
    // First what is wrong whatever the time is.
    let example = written(Timestamp::UNIX_EPOCH, TimeZone::UTC)?;
    if is_anything(value) {
        return Ok(example);
    }
    let text = value.as_str().unwrap_or_default();
    let time = Timestamp::from_str(text).map_err(|_| {
        let found = match value.kind() {
            ValueKind::Undefined | ValueKind::None => "nothing".to_owned(),
            _ => format!("{:?}", shortened(&value.to_string(), 40)),
        };
        let message = format!("expected a time such as 2025-02-01T10:00:17Z, found {found}");
        Error::new(ErrorKind::InvalidOperation, message)
    })?;
    let zone = state
        .lookup("page")
        .and_then(|page| page.get_attr("time_zone").ok())
        .and_then(|zone| TimeZone::get(zone.as_str()?).ok())
        // The time is right then, and says in which zone.
        .unwrap_or(TimeZone::UTC);
    written(time, zone)
}

/// Refuses what is wrong with a template whatever the incident is.
pub(super) fn check(source: &str) -> Result<(), InvalidText> {
    if source.trim().is_empty() {
        return Err(InvalidText {
            message: "this text is empty".to_owned(),
            span: None,
            hint: Some("write one, or leave the key out for the default text".to_owned()),
        });
    }
    let mut environment = of(source).map_err(|error| invalid(&error))?;
    names_are_known(&environment, source)?;

    // What an incident has is not known here, so it stands for itself once with
    // every part one may ask for, and once with none.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let sample = Value::from(Serde(scope::sample()));
    let full = context! {
        incident => Anything::whole(),
        incidents => Anything::whole(),
        ..sample.clone()
    };
    for scope in [full, sample] {
        let rendered = environment
            .get_template(NAME)
            .and_then(|template| template.render(scope));
        match rendered {
            Err(error) if is_certain(error.kind()) => return Err(invalid(&error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether an error of this kind would come with every incident.
fn is_certain(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BadEscape
            | ErrorKind::NonPrimitive
            | ErrorKind::OutOfFuel
            | ErrorKind::TooManyArguments
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::UnknownTest
    )
}

pub(super) fn invalid(error: &Error) -> InvalidText {
    InvalidText {
        message: described(error),
        span: error.range(),
        hint: None,
    }
}

fn names_are_known(environment: &Environment<'_>, source: &str) -> Result<(), InvalidText> {
    let template = environment
        .get_template(NAME)
        .map_err(|error| invalid(&error))?;
    let mut unknown: Vec<_> = template
        .undeclared_variables(true)
        .into_iter()
        .filter_map(|name| Some((place(source, &name), problem(&name)?)))
        .collect();
    // The first in the text, and always the same one.
    unknown.sort_by_key(|(place, (message, _))| (place.is_none(), *place, message.clone()));
    let Some((place, (message, hint))) = unknown.into_iter().next() else {
        return Ok(());
    };
    Err(InvalidText {
        span: place.map(|(start, end)| start..end),
        message,
        hint: Some(hint),
    })
}

/// What is wrong with a name such as `page.nmae`, and the remedy.
fn problem(name: &str) -> Option<(String, String)> {
    let (root, part) = match name.split_once('.') {
        Some((root, rest)) => (root, rest.split('.').next()),
        None => (name, None),
    };
    if FUNCTIONS.contains(&root) {
        return None;
    }
    let shape = NAMES
        .iter()
        .find_map(|(known, shape)| (*known == root).then_some(*shape));
    let Some(shape) = shape else {
        let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
        return Some(missing(root, root, &known));
    };
    let part = part?;
    match shape {
        Shape::Foreign => None,
        Shape::Object(known) if known.contains(&part) => None,
        Shape::Object(known) => Some(missing(&format!("{root}.{part}"), part, known)),
        Shape::Text => Some((
            format!("`{root}` is a text and has no `{part}`"),
            format!("write `{root}` alone"),
        )),
        Shape::List => Some((
            format!("`{root}` is a list and has no `{part}`"),
            format!("take one of it, `{root}[0].{part}`, or go through it with `for`"),
        )),
    }
}

fn missing(shown: &str, written: &str, known: &[&str]) -> (String, String) {
    let hint = match nearest(written, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there is {}", known.join(", ")),
    };
    (format!("there is no `{shown}`"), hint)
}

/// Where a name stands in the template's expressions.
fn place(source: &str, name: &str) -> Option<(usize, usize)> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    source
        .match_indices(name)
        .map(|(start, found)| (start, start + found.len()))
        .find(|&(start, end)| {
            let before = &source[..start];
            let opened = before.rfind("{{").max(before.rfind("{%"));
            let closed = before.rfind("}}").max(before.rfind("%}"));
            opened.is_some()
                && opened > closed
                && !before.ends_with(is_word)
                && !source[end..].starts_with(is_word)
        })
}

/// Has every part one may ask for, each of them anything again; so many steps deep,
/// because what compares or writes it goes all the way.
#[derive(Debug)]
struct Anything(u8);

impl Anything {
    fn whole() -> Value {
        Value::from_object(Self(8))
    }

    fn part(&self) -> Value {
        match self.0 {
            0 => Value::from("anything"),
            steps => Value::from_object(Self(steps - 1)),
        }
    }
}

fn is_anything(value: &Value) -> bool {
    value.downcast_object_ref::<Anything>().is_some()
}

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(self.part())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![self.part()])
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }
}
