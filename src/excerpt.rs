//! What of a JSON document is worth keeping.
//!
//! A vendor's object is large, and a mapping reads little of it. What nobody
//! reads is passed over while the document is parsed: it takes no memory, and
//! less time than what becomes a value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Parts of a document, as a tree of keys.
///
/// Scalars that are reached are kept whatever is said of what would be below
/// them, and so are arrays whose elements nobody speaks of: what is not shaped as
/// expected is for whoever reads it to judge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    is_whole: bool,
    named: BTreeMap<String, Excerpt>,
    /// Elements of an array, and values under whatever key.
    each: Option<Box<Excerpt>>,
    /// How many elements of an array are whole all the same, from the first on.
    whole_first: usize,
}

/// Reads an excerpt of a JSON text, or all of it.
pub fn reader(keep: Option<Arc<Excerpt>>) -> impl Fn(&[u8]) -> serde_json::Result<Value> {
    move |text| match &keep {
        Some(excerpt) => excerpt.read(text),
        None => serde_json::from_slice(text),
    }
}

/// A step of the way to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To<'a> {
    /// The value of a key.
    Key(&'a str),
    /// Every element of an array, every value of an object.
    Each,
    /// Nothing below: that there is something, and of what type, is enough. Only at the
    /// end of a path.
    Nothing,
}

impl Excerpt {
    /// All of it.
    pub const WHOLE: &'static Self = &Self {
        is_whole: true,
        named: BTreeMap::new(),
        each: None,
        whole_first: 0,
    };

    /// The parts at the ends of these paths, each with everything below it unless its path
    /// ends with [`To::Nothing`].
    pub fn of<'a, Path>(paths: impl IntoIterator<Item = Path>) -> Self
    where
        Path: IntoIterator<Item = To<'a>>,
    {
        let mut excerpt = Self::default();
        for path in paths {
            excerpt.keep(path);
        }
        excerpt.settle();
        excerpt
    }

    /// An array of objects that this is an excerpt of. The first so many of them stay
    /// whole.
    #[must_use]
    pub fn listed(self, whole_first: usize) -> Self {
        Self {
            whole_first,
            ..self.held()
        }
    }

    /// What holds this under whatever key.
    #[must_use]
    pub fn held(self) -> Self {
        Self {
            each: Some(Box::new(self)),
            ..Self::default()
        }
    }

    fn keep<'a>(&mut self, path: impl IntoIterator<Item = To<'a>>) {
        let mut node = self;
        for step in path {
            if node.is_whole {
                return;
            }
            node = match step {
                To::Key(key) => node.named.entry(key.to_owned()).or_default(),
                To::Each => node.each.get_or_insert_default(),
                To::Nothing => return,
            };
        }
        *node = Self::WHOLE.clone();
    }

    /// Adds to what is said of a key what is said of all, so that one look is enough.
    fn settle(&mut self) {
        if let Some(each) = &mut self.each {
            for named in self.named.values_mut() {
                named.add(each);
            }
            each.settle();
        }
        for named in self.named.values_mut() {
            named.settle();
        }
    }

    fn add(&mut self, other: &Self) {
        if self.is_whole || other.is_whole {
            *self = Self::WHOLE.clone();
            return;
        }
        for (key, part) in &other.named {
            self.named.entry(key.clone()).or_default().add(part);
        }
        if let Some(each) = &other.each {
            self.each.get_or_insert_default().add(each);
        }
    }

    /// What is kept of the value under a key; none where that is nothing.
    pub fn under(&self, key: &str) -> Option<&Self> {
        if self.is_whole {
            return Some(self);
        }
        self.named.get(key).or(self.each.as_deref())
    }

    /// What is kept of an element of an array.
    pub fn element(&self, place: usize) -> &Self {
        match &self.each {
            Some(each) if !self.is_whole && place >= self.whole_first => each,
            _ => Self::WHOLE,
        }
    }

    /// Reads this of a JSON text. What is passed over has to have the form of JSON; whether
    /// its texts and numbers can be had, nobody asks.
    pub fn read(&self, text: &[u8]) -> serde_json::Result<Value> {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = self.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// The same of a document that was read whole.
    pub fn taken_from(&self, document: &Value) -> Value {
        if self.is_whole {
            return document.clone();
        }
        match document {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(place, item)| self.element(place).taken_from(item))
                .collect(),
            Value::Object(entries) => {
                let kept = entries.iter().filter_map(|(key, value)| {
                    Some((key.clone(), self.under(key)?.taken_from(value)))
                });
                Value::Object(kept.collect())
            }
            scalar => scalar.clone(),
        }
    }

    /// Whether nothing is left out.
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl<'de> DeserializeSeed<'de> for &Excerpt {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Excerpt {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(item) = items.next_element_seed(self.element(kept.len()))? {
            kept.push(item);
        }
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            match self.under(&key) {
                Some(part) => {
                    let value = entries.next_value_seed(part)?;
                    kept.insert(key.into_owned(), value);
                }
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(kept))
    }
}

/// A key, borrowed from the document where it stands there as it is.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_string<E>(self, key: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(excerpt: &Excerpt, document: &Value) -> Value {
        let read = parse(excerpt, document.to_string().as_bytes()).unwrap();
        assert_eq!(excerpt.taken_from(document), read);
        read
    }

    fn parse(excerpt: &Excerpt, text: &[u8]) -> serde_json::Result<Value> {
        excerpt.read(text)
    }

    #[test]
    fn what_nobody_speaks_of_is_left_out() {
        use To::{Each, Key};
        let excerpt = Excerpt::of([
            vec![Key("id")],
            vec![Key("team"), Key("name")],
            vec![Key("users"), Each, Key("mail")],
            vec![Key("map"), Each, Key("a")],
            vec![Key("map"), Key("x"), Key("b")],
        ]);
        let document = json!({
            "id": "1", "other": {"a": [1, 2]},
            "team": {"name": {"first": 1}, "id": 2},
            "users": [{"mail": "a", "name": "b"}, 7, null, {"name": "c"}],
            "map": {"x": {"a": 1, "b": 2, "c": 3}, "y": {"a": 1, "b": 2}},
        });
        assert_eq!(
            read(&excerpt, &document),
            json!({
                "id": "1",
                "team": {"name": {"first": 1}},
                "users": [{"mail": "a"}, 7, null, {}],
                "map": {"x": {"a": 1, "b": 2}, "y": {"a": 1}},
            })
        );
    }

    #[test]
    fn of_what_is_only_glanced_at_the_type_stays() {
        use To::{Each, Key, Nothing};
        let excerpt = Excerpt::of([
            vec![Key("team"), Nothing],
            vec![Key("team"), Key("id")],
            vec![Key("tags"), Each, Nothing],
            vec![Key("flag"), Nothing],
        ]);
        let document = json!({
            "team": {"id": 1, "name": "x"}, "tags": [{"a": 1}, "b"], "flag": true, "x": 1,
        });
        let kept = json!({"team": {"id": 1}, "tags": [{}, "b"], "flag": true});
        assert_eq!(read(&excerpt, &document), kept);
    }

    #[test]
    fn what_is_shaped_otherwise_stays_to_be_judged() {
        let excerpt = Excerpt::of([[To::Key("team"), To::Key("name")]]);
        for odd in [json!("Rescue"), json!(1), json!(null), json!([{"id": 1}])] {
            let document = json!({ "team": odd });
            assert_eq!(read(&excerpt, &document), document);
        }
        assert_eq!(read(&excerpt, &json!([{"id": 1}])), json!([{"id": 1}]));
    }

    #[test]
    fn lists_are_reached_through_what_is_around_them() {
        let excerpt = Excerpt::of([[To::Key("id")]]).listed(1).held();
        let page = json!({
            "data": [{"id": 1, "x": 2}, {"id": 3, "x": 4}], "total": 7, "paging": {"next": "there"},
        });
        let kept = json!({
            "data": [{"id": 1, "x": 2}, {"id": 3}], "total": 7, "paging": {"next": "there"},
        });
        assert_eq!(read(&excerpt, &page), kept);
    }

    #[test]
    fn the_whole_is_what_a_plain_parser_reads() {
        let document =
            br#"{"a\n": [1, -2, 2.50, 1e400, "\u00e9", {"b": null}], "a\n": 18446744073709551615}"#;
        let plain: Result<Value, _> = serde_json::from_slice(document);
        let read = parse(Excerpt::WHOLE, document);
        assert_eq!(
            read.map_err(|error| error.to_string()),
            plain.map_err(|error| error.to_string())
        );
        let document =
            br#"{"a\n": [1, -2, 2.50, "\u00e9", {"b": null}], "a\n": 18446744073709551615}"#;
        let plain: Value = serde_json::from_slice(document).unwrap();
        assert_eq!(parse(Excerpt::WHOLE, document).unwrap(), plain);
    }

    #[test]
    fn what_is_left_out_still_has_to_be_json() {
        let excerpt = Excerpt::of([[To::Key("id")]]);
        for text in [r#"{"x": [1, "id": 2}"#, r#"{"x": [1"#, r#"{"id": 1} {}"#] {
            assert!(parse(&excerpt, text.as_bytes()).is_err(), "{text}");
        }
    }
}
