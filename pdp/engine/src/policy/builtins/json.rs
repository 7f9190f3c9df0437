//! Built-ins over documents.

use super::call::Builtin;

pub(super) const TABLE: &[Builtin] = &[];
