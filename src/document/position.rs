//! Where in the text each part of a document stands.
//!
//! The document's values come from `serde_yaml`, which keeps no positions; this
//! reads the text a second time as events and remembers where each path begins.
//! It is only ever used for messages: when it cannot follow the text (JSON
//! escapes that YAML lacks, keys that are mappings), messages name the path alone.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::ControlFlow,
};

use saphyr_parser::{Event, Marker, Parser};

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

/// A place in the document, written as messages write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, parents) = self.0.split_last()?;
        Some(Self(parents.to_vec()))
    }

    fn with(&self, segment: Segment) -> Self {
        Self(self.0.iter().cloned().chain([segment]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |key: &str| {
            !key.is_empty()
                && key
                    .chars()
                    .all(|character| character.is_alphanumeric() || "_-$@<".contains(character))
        };
        for (place, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) if !is_plain(key) => write!(formatter, "[{key:?}]")?,
                Segment::Key(key) if place == 0 => formatter.write_str(key)?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Positions by path, and the keys that stand in one mapping more than once.
#[derive(Debug, Default)]
pub(super) struct Positions {
    places: BTreeMap<String, Place>,
    pub(super) duplicates: Vec<Duplicate>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    key: Option<Position>,
    value: Position,
}

#[derive(Debug)]
pub(super) struct Duplicate {
    pub(super) path: Path,
    pub(super) position: Position,
    pub(super) first: Position,
}

impl Positions {
    pub(super) fn of_text(text: &str) -> Self {
        let mut indexer = Indexer::default();
        let mut parser = Parser::new_from_str(text);
        while let Some(Ok((event, span))) = parser.next_event() {
            if indexer.take(event, span.start.into()).is_break() {
                break;
            }
        }
        indexer.positions
    }

    /// Where the value at `path` begins, or else what encloses it.
    pub(super) fn value(&self, path: &Path) -> Option<Position> {
        self.nearest(path).map(|place| place.value)
    }

    /// Where the key that `path` ends in begins, or else what encloses it.
    pub(super) fn key(&self, path: &Path) -> Option<Position> {
        self.nearest(path)
            .map(|place| place.key.unwrap_or(place.value))
    }

    fn nearest(&self, path: &Path) -> Option<Place> {
        let mut path = path.clone();
        loop {
            if let Some(place) = self.places.get(&path.to_string()) {
                return Some(*place);
            }
            path = path.parent()?;
        }
    }
}

/// Deeper nesting than the document's own parser accepts is not followed.
const DEPTH: usize = 128;

#[derive(Default)]
struct Indexer {
    positions: Positions,
    open: Vec<Container>,
}

enum Container {
    Mapping {
        path: Path,
        key: Option<(String, Position)>,
        seen: HashMap<String, Position>,
    },
    Sequence {
        path: Path,
        next: usize,
    },
}

impl Indexer {
    /// Breaks at the end of the first document and where it loses the thread.
    fn take(&mut self, event: Event<'_>, position: Position) -> ControlFlow<()> {
        match event {
            Event::Scalar(text, ..) => {
                if let Some(Container::Mapping {
                    path,
                    key: key @ None,
                    seen,
                }) = self.open.last_mut()
                {
                    let text = text.into_owned();
                    if let Some(first) = seen.get(&text) {
                        self.positions.duplicates.push(Duplicate {
                            path: path.key(&text),
                            position,
                            first: *first,
                        });
                    } else {
                        seen.insert(text.clone(), position);
                    }
                    *key = Some((text, position));
                } else {
                    self.begin_value(position);
                }
            }
            Event::Alias(_) if self.expects_key() => return ControlFlow::Break(()),
            Event::Alias(_) => {
                self.begin_value(position);
            }
            Event::MappingStart(..) | Event::SequenceStart(..)
                if self.expects_key() || self.open.len() == DEPTH =>
            {
                return ControlFlow::Break(());
            }
            Event::MappingStart(..) => {
                let path = self.begin_value(position);
                self.open.push(Container::Mapping {
                    path,
                    key: None,
                    seen: HashMap::new(),
                });
            }
            Event::SequenceStart(..) => {
                let path = self.begin_value(position);
                self.open.push(Container::Sequence { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            Event::DocumentEnd => return ControlFlow::Break(()),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Container::Mapping { key: None, .. }))
    }

    fn begin_value(&mut self, value: Position) -> Path {
        let (path, key) = match self.open.last_mut() {
            None => (Path::default(), None),
            Some(Container::Sequence { path, next }) => {
                let path = path.index(*next);
                *next += 1;
                (path, None)
            }
            Some(Container::Mapping { path, key, .. }) => match key.take() {
                Some((key, position)) => (path.key(&key), Some(position)),
                None => (path.clone(), None),
            },
        };
        // The last of several equal keys wins, as it does for the values.
        self.positions
            .places
            .insert(path.to_string(), Place { key, value });
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
resources:
  - kind: incident
    selector: &all
      query: 'true'
  - kind: component
    selector: *all
  - { kind: \"page\", odd key: 1 }
";

    fn at(positions: &Positions, path: &Path) -> String {
        positions.value(path).unwrap().to_string()
    }

    #[test]
    fn a_path_leads_to_where_its_value_begins() {
        let positions = Positions::of_text(TEXT);
        let resources = Path::default().key("resources");

        assert_eq!(
            at(&positions, &resources.index(0).key("selector").key("query")),
            "4:14"
        );
        assert_eq!(at(&positions, &resources.index(2).key("kind")), "7:13");
        assert_eq!(
            positions
                .key(&resources.index(1).key("kind"))
                .unwrap()
                .to_string(),
            "5:5"
        );
        assert_eq!(
            resources.index(2).key("odd key").to_string(),
            "resources[2][\"odd key\"]"
        );
    }

    #[test]
    fn what_has_no_place_of_its_own_takes_that_of_what_encloses_it() {
        let positions = Positions::of_text(TEXT);
        let resources = Path::default().key("resources");

        assert_eq!(
            at(&positions, &resources.index(1).key("selector").key("query")),
            "6:15"
        );
        assert_eq!(at(&positions, &Path::default().key("missing")), "1:1");
    }

    #[test]
    fn a_bottomless_document_is_followed_no_further_than_it_can_be_read() {
        let positions = Positions::of_text(&"[".repeat(100_000));

        assert!(positions.places.len() <= DEPTH);
    }

    #[test]
    fn keys_given_twice_are_found_with_their_first_place() {
        let positions = Positions::of_text("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n");

        let found: Vec<_> = positions
            .duplicates
            .iter()
            .map(|duplicate| {
                format!(
                    "{} {} {}",
                    duplicate.path, duplicate.position, duplicate.first
                )
            })
            .collect();
        assert_eq!(found, ["b.c 4:3 3:3", "a 5:1 1:1"]);
    }
}
