//! .

#[test]
fn nothing() {}
