//! Follows a cursor, but not for ever.

use std::collections::HashSet;

use thiserror::Error;

use crate::api::ApiError;

/// Why a listing could not be read to its end.
#[derive(Debug, Error)]
pub(super) enum ListingError {
    #[error(transparent)]
    Api(#[from] ApiError),

    #[error("Port gave the same page of a listing twice")]
    Circle,

    #[error("a listing in Port did not end after {pages} pages")]
    Endless { pages: usize },
}

impl ListingError {
    /// What the operator can do about it, where we know.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Api(error) => error.hint(),
            Self::Circle | Self::Endless { .. } => None,
        }
    }
}

/// Where a listing stands.
pub(super) struct Cursor {
    from: Option<String>,
    seen: HashSet<String>,
    most_pages: usize,
}

impl Cursor {
    pub(super) fn new(most_pages: usize) -> Self {
        Self {
            from: None,
            seen: HashSet::new(),
            most_pages,
        }
    }

    /// Where the next page begins; none for the first.
    pub(super) fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// Moves on. False at the end.
    pub(super) fn advance(&mut self, next: Option<String>) -> Result<bool, ListingError> {
        let Some(next) = next else {
            return Ok(false);
        };
        if !self.seen.insert(next.clone()) {
            return Err(ListingError::Circle);
        }
        if self.seen.len() >= self.most_pages {
            return Err(ListingError::Endless {
                pages: self.most_pages,
            });
        }
        self.from = Some(next);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_ends_and_neither_circles_nor_goes_on_for_ever() {
        let next = |text: &str| Some(text.to_owned());
        let mut cursor = Cursor::new(3);

        assert_eq!(cursor.from(), None);
        assert!(cursor.advance(next("a")).unwrap());
        assert_eq!(cursor.from(), Some("a"));
        assert!(matches!(
            cursor.advance(next("a")),
            Err(ListingError::Circle)
        ));
        assert!(!cursor.advance(None).unwrap());
        assert!(cursor.advance(next("b")).unwrap());
        assert!(matches!(
            cursor.advance(next("c")),
            Err(ListingError::Endless { pages: 3 })
        ));
    }
}
