//! The bank as a person or a service runs it: a process, on a store of its own.

mod common;

mod killed;
mod postgres;
mod story;
