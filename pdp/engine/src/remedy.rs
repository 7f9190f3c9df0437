//! Which proof would make it yes.
