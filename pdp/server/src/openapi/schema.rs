//! The schemas of the texts and numbers that types of other crates are written as.

use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// No character that could forge a line of a log.
const PRINTED: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
/// The same, and not blank.
const NOT_BLANK: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

fn text(pattern: &str, shortest: usize, longest: usize) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).min_length(Some(shortest)).max_length(Some(longest)).build()
}

/// One line that a person wrote.
pub(crate) fn line() -> Object {
    text(NOT_BLANK, 1, 512)
}

/// A name of a session.
pub(crate) struct SessionName;

impl PartialSchema for SessionName {
    fn schema() -> RefOr<Schema> {
        text(PRINTED, 1, 256).into()
    }
}

impl ToSchema for SessionName {}

/// A name of a device.
pub(crate) struct DeviceName;

impl PartialSchema for DeviceName {
    fn schema() -> RefOr<Schema> {
        text(PRINTED, 1, 128).into()
    }
}

impl ToSchema for DeviceName {}

/// 32 bytes in hexadecimal.
pub(crate) fn digest() -> Object {
    text("^[0-9a-fA-F]{64}$", 64, 64)
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn instant() -> Object {
    let builder = ObjectBuilder::new().schema_type(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    builder.description(Some("milliseconds since 1970-01-01T00:00:00Z")).build()
}

/// What verified a log-in.
pub(crate) fn strength() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["phishing_resistant", "second_factor"])).build()
}

/// 16 bytes in hexadecimal.
pub(super) fn tag() -> Object {
    text("^[0-9a-f]{32}$", 32, 32)
}

/// `life-seq`.
pub(super) fn epoch() -> Object {
    text("^[0-9]{1,20}-[0-9]{1,20}$", 3, 41)
}

/// A text that may be `null` as well, which is no text.
fn or_null(mut text: Object) -> Object {
    text.schema_type = [Type::String, Type::Null].into_iter().collect();
    text
}

/// `chain-seq`, or nothing.
pub(super) fn consistency_or_null() -> Object {
    or_null(consistency())
}

/// The name of a watch, or nothing.
pub(super) fn watch_or_null() -> Object {
    or_null(text("^[A-Za-z0-9._-]{1,64}$", 1, 64))
}

/// `chain-seq`.
pub(super) fn consistency() -> Object {
    text("^[0-9a-f]{16}-[0-9]{1,20}$", 18, 37)
}
