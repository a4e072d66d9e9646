//! Whether an outcome is the expected one, and what a person reads when it is not.
//!
//! Owns the text of a failed spec.

use evenfold_core::StreamName;
use evenfold_core::handler::Handler;
use evenfold_core::message::{NewMessage, Recorded};

use super::delivery::{Delivery, Outcome, Plan};
use super::probe::Harm;
use super::{Spec, When};

impl<H: Handler> Spec<'_, H> {
    /// Compares what came of a delivery with the spec.
    pub(super) fn judge(&self, plan: &Plan, outcome: &Outcome) -> Result<(), String> {
        let mut faults = Vec::new();
        self.judge_answers(outcome, &mut faults);
        self.judge_streams(outcome, &mut faults);
        self.judge_following(outcome, &mut faults);
        self.judge_noted(outcome, &mut faults);
        if let Some(stream) = &outcome.never_meanwhile {
            faults.push(format!("nobody came in between, for it never wrote to `{stream}`\n"));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let mut text = format!("`{}` breaks its spec {}\n", H::NAME, self.when_it(plan, outcome));
        for fault in faults {
            text.push('\n');
            text.push_str(&fault);
        }
        self.write_spec(&mut text);
        if !outcome.story.is_empty() {
            section(&mut text, "what happened", &outcome.story);
        }
        let at = self.stands_at;
        Err(format!("{text}\nthe spec stands at {}:{}", at.file(), at.line()))
    }

    fn judge_answers(&self, outcome: &Outcome, faults: &mut Vec<String>) {
        for (When { message, answer: expected, .. }, answer) in
            self.whens.iter().zip(&outcome.answers)
        {
            if !answer.is(expected) {
                let message_type = message.message_type();
                faults.push(format!(
                    "the answer to {message_type} was expected to be\n    {expected}\n\
                     and is\n    {answer}\n"
                ));
            }
        }
    }

    fn judge_streams(&self, outcome: &Outcome, faults: &mut Vec<String>) {
        let mut streams: Vec<&StreamName> = self.then.iter().map(|(stream, _)| stream).collect();
        for Recorded { stream_name, .. } in &outcome.written {
            if !streams.contains(&stream_name) {
                streams.push(stream_name);
            }
        }
        for stream in streams {
            let then = self.then.iter().find(|(named, _)| named == stream);
            let expected = then.map_or(&[][..], |(_, messages)| messages.as_slice());
            let written: Vec<_> =
                outcome.written.iter().filter(|it| it.stream_name == *stream).collect();
            let same = expected.len() == written.len()
                && expected.iter().zip(&written).all(|(new, it)| new.is_content_of(stream, it));
            if same {
                continue;
            }
            let mut text = format!("`{stream}` was expected to get\n");
            lines(&mut text, expected.iter().map(line_of));
            text.push_str("and got\n");
            lines(&mut text, written.iter().map(|it| self.line_of_written(it, outcome)));
            faults.push(text);
        }
    }

    /// A written message; where the spec lets it, whether it follows no message is told with it.
    fn line_of_written(&self, written: &Recorded, outcome: &Outcome) -> String {
        let line = line(&written.message_type, written.data());
        if self.need_not_follow.is_some() && !is_follower(written, outcome) {
            return format!("{line}  (it does not follow the message)");
        }
        line
    }

    fn judge_following(&self, outcome: &Outcome, faults: &mut Vec<String>) {
        if self.need_not_follow.is_some() {
            return;
        }
        for written in &outcome.written {
            if !is_follower(written, outcome) {
                let Recorded { message_type, position, stream_name, .. } = written;
                faults.push(format!(
                    "{message_type} at position {position} of `{stream_name}` does not follow the \
                     message,\nso it is written again whenever the message comes again: say \
                     `.following(&message)`\n"
                ));
            }
        }
    }

    fn judge_noted(&self, outcome: &Outcome, faults: &mut Vec<String>) {
        let noted = outcome.noted.concat();
        if noted != self.noted {
            let mut text = "the effects in transactions were expected to be\n".to_owned();
            lines(&mut text, self.noted.iter().cloned());
            text.push_str("and are\n");
            lines(&mut text, noted);
            faults.push(text);
        }
    }

    /// The delivery, as the end of a sentence.
    fn when_it(&self, plan: &Plan, outcome: &Outcome) -> String {
        let (it, comes) = match self.whens.len() {
            1 => ("the message", "comes"),
            _ => ("all of the messages", "come"),
        };
        let call = |number: &usize| {
            let what = outcome.calls.get(*number).map_or("", |call| &call.what);
            format!("{} call to the store, the {what}", ordinal(number + 1))
        };
        match plan {
            Plan::Once => format!("when {it} {comes} once"),
            Plan::Again => format!("when {it} {comes} twice"),
            Plan::Restart => "when each message comes to a handler that was just made".to_owned(),
            Plan::Harm(number, harm) => match harm {
                Harm::Crash => {
                    format!("when it crashes after its {}, and {it} {comes} again", call(number))
                }
                Harm::NoAnswer => format!("when there is no answer to its {}", call(number)),
                Harm::LostReply => format!("when the reply is lost to its {}", call(number)),
                Harm::Conflict => format!("when another writer is faster at its {}", call(number)),
            },
        }
    }

    fn write_spec(&self, text: &mut String) {
        let batches = |of: &[(StreamName, Vec<NewMessage>)]| -> Vec<String> {
            let each = |(stream, messages): &(StreamName, Vec<NewMessage>)| -> Vec<String> {
                messages.iter().map(|message| format!("{stream}  {}", line_of(message))).collect()
            };
            of.iter().flat_map(each).collect()
        };
        if !self.given.is_empty() {
            section(text, "given", &batches(&self.given));
        }
        let when = |When { stream, message, .. }: &When| format!("{stream}  {}", line_of(message));
        section(text, "when", &self.whens.iter().map(when).collect::<Vec<_>>());
        let left_out = Delivery::ALL.iter().filter_map(|delivery| {
            self.left_out.get(delivery).map(|reason| format!("{delivery:?}: {reason}"))
        });
        let following = self.need_not_follow.iter().map(|reason| format!("following: {reason}"));
        let left_out: Vec<_> = left_out.chain(following).collect();
        if !left_out.is_empty() {
            section(text, "left out", &left_out);
        }
    }
}

fn is_follower(written: &Recorded, outcome: &Outcome) -> bool {
    outcome.whens.iter().any(|when| follows(written, when))
}

/// Whether a message follows another, by its metadata; a reply asks for none itself.
fn follows(written: &Recorded, when: &Recorded) -> bool {
    let (Ok(metadata), Ok(mut its)) = (written.metadata(), when.metadata()) else { return false };
    if its.reply_stream_name.as_ref() == Some(&written.stream_name) {
        its.take_reply();
    }
    metadata.follows(when, &its)
}

fn line_of(message: &NewMessage) -> String {
    line(message.message_type(), message.data())
}

fn line(message_type: &str, data: &str) -> String {
    format!("{message_type} {data}")
}

fn lines(text: &mut String, of: impl IntoIterator<Item = String>) {
    let before = text.len();
    for line in of {
        text.push_str("    ");
        text.push_str(&line);
        text.push('\n');
    }
    if text.len() == before {
        text.push_str("    nothing\n");
    }
}

fn section(text: &mut String, head: &str, of: &[String]) {
    text.push('\n');
    text.push_str(head);
    text.push('\n');
    lines(text, of.iter().cloned());
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
