//! Compiles the crate again when a migration is added: the `migrate!` macro alone watches only the
//! files that it has read.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
