//! The bank as a person or a service runs it: a process, on a store of its own.

mod common;

mod killed;
mod parking;
mod postgres;
mod shared;
mod story;
