//! What a source hands over: objects, and beside them what else it found out.
//!
//! Enrichment is kept in columns rather than in the objects because resource
//! configs of one kind may ask for different enrichment, while the objects are
//! fetched, and converted, once.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    jq::{Step, Val, to_val},
    resource_config::ResourceConfig,
};

/// Objects of one kind.
#[derive(Clone, Debug, Default)]
pub struct RawBatch {
    pub objects: Vec<Value>,
    pub columns: Vec<Column>,
    /// Parts of every object of the batch that could not be fetched.
    pub unavailable: Vec<Vec<Step>>,
}

/// One enrichment beside the objects: `values[i]` becomes the key `key` of object `i`.
#[derive(Clone, Debug)]
pub struct Column {
    pub key: &'static str,
    /// None: it could not be fetched. Fields whose expression may read it are
    /// then left out of that entity, never written as null. An object without
    /// a value here counts the same.
    pub values: Vec<Option<Value>>,
}

/// A resource config and the enrichment keys it takes from the batch; the
/// others are invisible to it.
#[derive(Clone, Debug)]
pub struct Consumer {
    pub config: Arc<ResourceConfig>,
    pub columns: Vec<&'static str>,
}

impl RawBatch {
    /// An object with these of the columns, as a consumer of them sees it.
    pub fn seen(&self, index: usize, columns: &[&str]) -> Option<Value> {
        let mut object = self.objects.get(index)?.clone();
        if let Value::Object(keys) = &mut object {
            for column in self
                .columns
                .iter()
                .filter(|column| columns.contains(&column.key))
            {
                if let Some(Some(value)) = column.values.get(index) {
                    keys.insert(column.key.to_owned(), value.clone());
                }
            }
        }
        Some(object)
    }
}

impl Column {
    pub(super) fn is_missing(&self, index: usize) -> bool {
        !matches!(self.values.get(index), Some(Some(_)))
    }
}

/// One object of a batch, converted when first needed.
pub(super) struct Object<'a> {
    batch: &'a RawBatch,
    pub(super) index: usize,
    bare: Option<Val>,
    /// By places of columns: the object as those see it who take these columns.
    views: Vec<(Vec<usize>, Val)>,
}

impl<'a> Object<'a> {
    pub(super) fn new(batch: &'a RawBatch, index: usize) -> Self {
        Self {
            batch,
            index,
            bare: None,
            views: Vec::new(),
        }
    }

    /// The object with these of the batch's columns in it.
    pub(super) fn view(&mut self, columns: &[usize]) -> Val {
        if let Some((_, view)) = self.views.iter().find(|(taken, _)| taken == columns) {
            return view.clone();
        }
        let bare = self
            .bare
            .get_or_insert_with(|| to_val(&self.batch.objects[self.index]))
            .clone();
        let present: Vec<_> = columns
            .iter()
            .map(|&place| &self.batch.columns[place])
            .filter_map(|column| Some((column.key, column.values.get(self.index)?.as_ref()?)))
            .map(|(key, value)| (key, to_val(value)))
            .collect();
        let view = with_keys(&bare, present);
        self.views.push((columns.to_vec(), view.clone()));
        view
    }

    /// What to call the object while it has no identifier.
    pub(super) fn label(&self) -> Option<String> {
        match self.batch.objects[self.index].get("id")? {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        }
    }
}

/// A shallow copy of an object with more keys; anything else stays as it is.
pub(super) fn with_keys<'k>(object: &Val, keys: impl IntoIterator<Item = (&'k str, Val)>) -> Val {
    let mut keys = keys.into_iter().peekable();
    match object {
        Val::Obj(map) if keys.peek().is_some() => {
            let mut map = (**map).clone();
            for (key, value) in keys {
                map.insert(Val::from(key.to_owned()), value);
            }
            Val::obj(map)
        }
        other => other.clone(),
    }
}
