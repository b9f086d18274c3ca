//! The objects of one kind.
//!
//! Objects are kept as JSON text with the few facts that listings filter by
//! beside them: a large company is tens of thousands of objects, and text
//! takes a tenth of the memory of a parsed value. A plain listing then is
//! copying text.

use std::collections::HashMap;

use serde_json::Value;

/// What listings need to know about an object.
pub(super) trait Facts {
    fn of(object: &Value) -> Self;
}

pub(super) struct Row<F> {
    pub(super) id: String,
    pub(super) text: Box<str>,
    pub(super) facts: F,
}

impl<F: Facts> Row<F> {
    pub(super) fn new(id: String, object: &Value) -> Self {
        Self {
            id,
            text: object.to_string().into_boxed_str(),
            facts: F::of(object),
        }
    }

    /// The object. Text in a table was JSON when it came in.
    pub(super) fn object(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }
}

/// Objects in the order in which they were inserted, found by identifier.
pub(super) struct Table<F> {
    rows: Vec<Row<F>>,
    places: HashMap<String, usize>,
    /// For objects that have no identifier of their own.
    numbered: u64,
}

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            places: HashMap::new(),
            numbered: 0,
        }
    }
}

impl<F: Facts> Table<F> {
    /// Inserts an object, or replaces the one with its `id`.
    pub(super) fn insert(&mut self, object: &Value) {
        let id = object.get("id").and_then(Value::as_str).map(str::to_owned);
        let id = id.unwrap_or_else(|| {
            self.numbered += 1;
            format!("#{}", self.numbered)
        });
        let row = Row::new(id, object);
        if let Some(&place) = self.places.get(&row.id) {
            self.rows[place] = row;
        } else {
            self.places.insert(row.id.clone(), self.rows.len());
            self.rows.push(row);
        }
    }

    pub(super) fn row(&self, id: &str) -> Option<&Row<F>> {
        self.places.get(id).map(|&place| &self.rows[place])
    }

    pub(super) fn get(&self, id: &str) -> Option<Value> {
        self.row(id).map(Row::object)
    }

    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &Row<F>> {
        self.rows.iter()
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        self.rows.iter().map(Row::object).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Changes an object in place; false when there is none.
    pub(super) fn update(&mut self, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        let Some(&place) = self.places.get(id) else {
            return false;
        };
        let mut object = self.rows[place].object();
        change(&mut object);
        self.rows[place] = Row::new(id.to_owned(), &object);
        true
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Value> {
        let object = self.get(id)?;
        self.retain_rows(|row| row.id != id);
        Some(object)
    }

    /// Removes the objects that do not pass; says how many.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Value) -> bool) -> usize {
        self.retain_rows(|row| keep(&row.object()))
    }

    fn retain_rows(&mut self, keep: impl FnMut(&Row<F>) -> bool) -> usize {
        let before = self.rows.len();
        self.rows.retain(keep);
        self.places = self
            .rows
            .iter()
            .enumerate()
            .map(|(place, row)| (row.id.clone(), place))
            .collect();
        before - self.rows.len()
    }
}

/// A JSON array of texts that are JSON.
pub(super) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut array = String::from("[");
    for (number, text) in texts.into_iter().enumerate() {
        if number > 0 {
            array.push(',');
        }
        array.push_str(text);
    }
    array.push(']');
    array
}

/// The text at a key, or nothing.
pub(super) fn text_at<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The instant at a key, when there is one.
pub(super) fn instant_at(object: &Value, key: &str) -> Option<jiff::Timestamp> {
    object.get(key)?.as_str()?.parse().ok()
}
