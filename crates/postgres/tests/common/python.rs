//! A service that knows nothing of evenfold, in Python.
//!
//! What it does is its client's own; only the way to tell it stands here and in `client.py`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::Result;

/// `message-db-py` in a process of its own, which ends with this handle.
pub(crate) struct Python {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    pub(crate) fn on(url: &str) -> Result<Self> {
        let python = std::env::var_os("EVENFOLD_PYTHON").ok_or(
            "the foreign client is a Python with message-db-py; `cargo xtask test` makes one and \
             names it in $EVENFOLD_PYTHON",
        )?;
        let mut process = Command::new(python)
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/client.py"), url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = process.stdin.take().ok_or("no way to ask Python")?;
        let answers = BufReader::new(process.stdout.take().ok_or("no way to hear Python")?);
        Ok(Self { process, asks, answers })
    }

    /// What a method of the client comes to: its result, or the text of its error.
    pub(crate) fn call(
        &mut self,
        method: &str,
        arguments: &Value,
    ) -> Result<std::result::Result<Value, String>> {
        writeln!(self.asks, "{}", json!({ "method": method, "arguments": arguments }))?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("Python ended at `{method}` of {arguments}").into());
        }
        let mut answer: Value = serde_json::from_str(&line)?;
        let result = answer.get_mut("result").map(Value::take);
        let error = || answer.get("error").and_then(Value::as_str).unwrap_or_default();
        Ok(result.ok_or_else(|| error().to_owned()))
    }

    /// The result of a method that is to succeed.
    pub(crate) fn ask(&mut self, method: &str, arguments: &Value) -> Result<Value> {
        Ok(self.call(method, arguments)?.map_err(|error| format!("`{method}`: {error}"))?)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The streams of messages as Python has them.
pub(crate) fn names_of(messages: &Value) -> Vec<String> {
    let names = messages.as_array().into_iter().flatten();
    names.filter_map(|message| message["stream_name"].as_str().map(String::from)).collect()
}
