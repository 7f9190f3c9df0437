//! The harness and the integration tests of the whole product.
