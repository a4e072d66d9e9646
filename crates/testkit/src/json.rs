//! JSON as what it means: keys in any order, and each number in one form.
//!
//! For the suite and the model test, which compare what a store gave back with what it was given.

use evenfold_core::Error;
use serde_json::Value;

/// The value of a JSON text, each number in one form: `1e2`, `100.0` and `100` are one number, and
/// a store may choose among them.
pub(crate) fn json(text: &str) -> Result<Value, Error> {
    let mut value = serde_json::from_str(text)
        .map_err(|fault| Error::failed(format!("reading `{text:.100}` as JSON"), fault))?;
    settle_numbers(&mut value);
    Ok(value)
}

fn settle_numbers(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(settle_numbers),
        Value::Object(values) => values.values_mut().for_each(settle_numbers),
        Value::Number(number) if number.is_f64() => {
            // Printed, a float has no exponent, and no point where it is whole.
            let plain = number.as_f64().map(|float| float.to_string()).unwrap_or_default();
            *value = serde_json::from_str(&plain).unwrap_or(Value::Null);
        }
        _ => {}
    }
}
