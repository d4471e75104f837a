//! What a network tells apart.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The names of the classes of a data set, in the order of their labels. Clones share them.
///
/// A label is a byte, so that classes beyond the 256th have no examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", from = "Vec<String>")]
pub struct Classes(Arc<[String]>);

impl Classes {
    /// Classes with names of their own.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// `count` classes named by their numbers, from 0.
    pub fn numbered(count: usize) -> Self {
        Self::named((0..count).map(|class| class.to_string()))
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in the order of the labels.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<String>> for Classes {
    fn from(names: Vec<String>) -> Self {
        Self(names.into())
    }
}

impl From<Classes> for Vec<String> {
    fn from(Classes(names): Classes) -> Self {
        names.to_vec()
    }
}
