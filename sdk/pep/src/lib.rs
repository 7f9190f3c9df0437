//! The only crate that enforces inside an application: a tower layer and an axum extractor.
