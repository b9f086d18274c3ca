//! Reads a page of entities without holding them all.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The document, with an empty list in the place of `entities`, each of which is given
/// to `take`. A document of another shape stays what it is.
pub(super) fn read(text: &[u8], take: &mut dyn FnMut(Value)) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let document = Page(take).deserialize(&mut deserializer);
    match document.and_then(|document| deserializer.end().map(|()| document)) {
        Ok(document) => Ok(document),
        Err(_) => serde_json::from_slice(text),
    }
}

struct Page<'a>(&'a mut dyn FnMut(Value));

impl<'de> DeserializeSeed<'de> for Page<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Page<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with `entities`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut page = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = if name == "entities" {
                members.next_value_seed(Entities(&mut *self.0))?
            } else {
                members.next_value()?
            };
            page.insert(name, value);
        }
        Ok(Value::Object(page))
    }
}

struct Entities<'a>(&'a mut dyn FnMut(Value));

impl<'de> DeserializeSeed<'de> for Entities<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entities<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of entities")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entities: A) -> Result<Value, A::Error> {
        while let Some(entity) = entities.next_element()? {
            (self.0)(entity);
        }
        Ok(Value::Array(Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn taken(text: &str) -> (Vec<Value>, Option<Value>) {
        let mut taken = Vec::new();
        let read = read(text.as_bytes(), &mut |entity| taken.push(entity));
        (taken, read.ok())
    }

    #[test]
    fn every_entity_is_handed_on_and_none_is_kept() {
        let (entities, page) = taken(r#"{"ok": true, "entities": [{"a": 1}, 2], "next": "x"}"#);
        assert_eq!(entities, [json!({"a": 1}), json!(2)]);
        let kept = json!({"ok": true, "entities": [], "next": "x"});
        assert_eq!(page, Some(kept));
    }

    #[test]
    fn what_is_no_page_stays_what_it_is() {
        for text in [
            "[1]",
            "7",
            r#"{"entities": {"a": 1}}"#,
            r#"{"entities": null}"#,
            "{}",
        ] {
            let (entities, page) = taken(text);
            assert!(entities.is_empty());
            assert_eq!(page, serde_json::from_str(text).ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in [r#"{"entities": [{"a": 1}, "#, r#"{"entities": []} x"#, ""] {
            assert_eq!(taken(text).1, None, "{text}");
        }
    }
}
