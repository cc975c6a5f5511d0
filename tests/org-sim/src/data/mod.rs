//! The records of the simulated org: schema, values made on demand from a seed, ids, describe.

pub mod change;
pub mod describe;
pub mod id;
pub mod index;
pub mod make;
pub mod objects;
pub mod replicate;
pub mod schema;
pub(crate) mod tokens;
pub mod value;
pub mod words;
