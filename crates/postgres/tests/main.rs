//! The Postgres store beside real servers: Message DB as its own scripts make it, and our schema.
//!
//! Each file states the laws of its name. All are one program, which is linked once.

mod common;

mod conformance;
mod connections;
mod handed;
mod pooler;
mod transaction;

mod database;
mod facts;
mod install;
mod tls;
mod untouched;

mod differential;
mod foreign;
mod groups;
mod leases;
mod plans;

mod counting;
mod failover;
mod faults;
mod killed;
mod merged;
mod notify;
mod standby;
mod together;
