//! The only builder of the input document of contract 1.
