//! What a source hands over: objects, and beside them what else it found out.
//!
//! Enrichment is kept in columns rather than in the objects because resource
//! configs of one kind may ask for different enrichment, while the objects are
//! fetched, and converted, once.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use super::evaluate::field;
use crate::{
    excerpt::Excerpt,
    jq::{Filter, Limits, RunError, Step, Val, to_val_within},
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

/// One object of a batch, converted when first needed, as far as expressions that
/// have to be run read it.
pub(super) struct Object<'a> {
    batch: &'a RawBatch,
    pub(super) index: usize,
    read: &'a Excerpt,
    /// By places of columns: the object as those see it who take these columns.
    views: RefCell<Vec<(Vec<usize>, Val)>>,
}

impl<'a> Object<'a> {
    pub(super) fn new(batch: &'a RawBatch, index: usize, read: &'a Excerpt) -> Self {
        Self {
            batch,
            index,
            read,
            views: RefCell::default(),
        }
    }

    /// The object with these of the batch's columns in it.
    pub(super) fn view(&self, columns: &[usize]) -> Val {
        let mut views = self.views.borrow_mut();
        if let Some((_, view)) = views.iter().find(|(taken, _)| taken == columns) {
            return view.clone();
        }
        let view = self.made(columns, self.read);
        views.push((columns.to_vec(), view.clone()));
        view
    }

    fn made(&self, columns: &[usize], read: &Excerpt) -> Val {
        let object = to_val_within(&self.batch.objects[self.index], read);
        let present: Vec<_> = columns
            .iter()
            .filter_map(|&place| {
                let (key, value) = self.column(place)?;
                Some((key, to_val_within(value, read.under(key)?)))
            })
            .collect();
        with_keys(&object, present)
    }

    /// What it has under a key, with these of the batch's columns in it. None at all
    /// where it is no object.
    fn member(&self, columns: &[usize], key: &str) -> Option<&'a Value> {
        columns
            .iter()
            .filter_map(|&place| self.column(place))
            .find_map(|(name, value)| (name == key).then_some(value))
            .or_else(|| self.batch.objects[self.index].get(key))
    }

    fn column(&self, place: usize) -> Option<(&'static str, &'a Value)> {
        let column = &self.batch.columns[place];
        Some((column.key, column.values.get(self.index)?.as_ref()?))
    }

    fn is_object(&self) -> bool {
        self.batch.objects[self.index].is_object()
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

/// What expressions run on.
pub(super) enum Input<'a> {
    /// An object as it came, with these of the columns.
    Raw(&'a Object<'a>, &'a [usize]),
    /// One that was made of it.
    Made(Val),
}

impl Input<'_> {
    /// What a field becomes: the first output of its expression; none and null are
    /// the same.
    pub(super) fn field(
        &self,
        filter: &Filter,
        limits: &Limits,
    ) -> Result<Option<Value>, RunError> {
        self.told(filter, limits)
            .unwrap_or_else(|| field(filter, &self.val(filter), limits))
    }

    /// The same, where it can be told without running the expression.
    pub(super) fn told(
        &self,
        filter: &Filter,
        limits: &Limits,
    ) -> Option<Result<Option<Value>, RunError>> {
        match self {
            Self::Raw(object, columns) if object.is_object() => {
                filter.told(|key| object.member(columns, key), limits)
            }
            _ => None,
        }
    }

    /// What an expression is run on.
    pub(super) fn val(&self, filter: &Filter) -> Val {
        match self {
            // It was expected to be told, so what it reads is in no view.
            Self::Raw(object, columns) if filter.is_simple() => {
                object.made(columns, Excerpt::WHOLE)
            }
            Self::Raw(object, columns) => object.view(columns),
            Self::Made(val) => val.clone(),
        }
    }
}

/// What of the objects expressions read that have to be run.
pub(super) fn read_by<'a>(configs: impl IntoIterator<Item = &'a ResourceConfig>) -> Excerpt {
    let mut paths = Vec::new();
    for config in configs {
        // An object that was made of another one is for the engine alone.
        let is_made = config.items_to_parse.is_some();
        config.for_each_expression(&mut |expression| {
            if is_made || !expression.filter.is_simple() {
                paths.extend(expression.filter.reads());
            }
        });
    }
    Excerpt::of(paths)
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
