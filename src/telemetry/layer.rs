//! From an event to a line: gathers its fields and those of the spans around
//! it, masked as they come in.

use std::error::Error;
use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::line::{Line, is_own};
use super::shipping::{self, Shipper};
use super::{LogFormat, Masker, Sink};

pub(super) struct Lines {
    format: LogFormat,
    masker: Masker,
    sink: Sink,
    shipper: Option<Shipper>,
}

impl Lines {
    pub(super) fn new(format: LogFormat, masker: Masker, sink: Sink) -> Self {
        Self {
            format,
            masker,
            sink,
            shipper: None,
        }
    }

    pub(super) fn shipped_by(self, shipper: Option<Shipper>) -> Self {
        Self { shipper, ..self }
    }

    fn fields(&self, fields: Map<String, Value>) -> Fields<'_> {
        Fields {
            masker: &self.masker,
            message: String::new(),
            values: fields,
        }
    }
}

/// The fields of a span, kept with it.
struct SpanFields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = self.fields(Map::new());
        attributes.record(&mut fields);
        span.extensions_mut().replace(SpanFields(fields.values));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let known = extensions
            .remove::<SpanFields>()
            .map(|fields| fields.0)
            .unwrap_or_default();
        let mut fields = self.fields(known);
        values.record(&mut fields);
        extensions.replace(SpanFields(fields.values));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut known = Map::new();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(Scope::from_root)
        {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                known.extend(fields.0.clone());
            }
        }
        let mut fields = self.fields(known);
        event.record(&mut fields);
        let is_local = fields.values.shift_remove(shipping::LOCAL).is_some();
        let line = Line {
            time: Timestamp::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message: fields.message,
            fields: fields.values,
        };
        if let Some(shipper) = &self.shipper
            && !is_local
            && is_own(line.target)
        {
            shipper.take(&line);
        }
        (self.sink)(line.write(self.format).as_bytes());
    }
}

/// Takes fields in, each masked on its own.
struct Fields<'a> {
    masker: &'a Masker,
    message: String,
    values: Map<String, Value>,
}

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: &Value) {
        let masked = self.masker.mask_value(value);
        match (field.name(), masked) {
            ("message", Value::String(message)) => self.message = message,
            ("message", other) => self.message = other.to_string(),
            (name, masked) => {
                // `r#type` is a field named `type`.
                let name = name.strip_prefix("r#").unwrap_or(name);
                self.values.insert(name.to_owned(), masked);
            }
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, &Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, &Value::String(value.to_owned()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, &Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, &Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, &Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, &Value::from(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        // An error says what was attempted and leaves the cause to `source`.
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.set(field, &Value::String(text));
    }
}
