//! End-to-end tests of kilofold; they are in `tests/`.
