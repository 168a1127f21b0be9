//! The core against a model, and sentence by sentence against its contract.

mod histories;
mod model;
mod protocol;
mod scripts;
