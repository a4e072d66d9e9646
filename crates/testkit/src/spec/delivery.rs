//! The ways in which a message comes to a handler, and what comes of each.
//!
//! Owns [`Delivery`] and the run of one. What is expected of it is compared in `report.rs`.

use std::fmt;
use std::panic::AssertUnwindSafe;

use evenfold_core::error::HandlerError;
use evenfold_core::handler::{Context, Handler, Received};
use evenfold_core::message::{Messages, Recorded};
use evenfold_core::store::MessageStore;
use evenfold_core::{Error, StreamName};
use futures::FutureExt;

use super::probe::{Call, CallKind, Harm, Probe};
use super::{Spec, When};
use crate::{Recording, TransactionLog};

/// How often a message comes again whose handling failed of a fault that was brought about.
const RETRIES: u32 = 3;

/// A way in which messages come to a handler, beside the plain one: once.
///
/// Those that harm a call to the store are tried with each call of the handler that they can befall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// All of them, and all of them again, to the same handler.
    Again,
    /// Each to a handler that has just been made, where there is more than one message.
    Restart,
    /// Another writer is faster, by a message that no set has, where a write expects a version: the
    /// write meets a conflict.
    Conflict,
    /// The handler's process ends when a call has happened and its answer is on the way; then all
    /// messages come again, to a new handler.
    Crash,
    /// A write happens and its reply is lost.
    LostReply,
    /// A call is not answered and does not happen, nor does any other until the handler gives up, or
    /// has asked a hundred times.
    NoAnswer,
}

impl Delivery {
    pub(super) const ALL: [Self; 6] =
        [Self::Again, Self::Restart, Self::Conflict, Self::Crash, Self::LostReply, Self::NoAnswer];
}

/// One run of the messages through a handler.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Once,
    Again,
    Restart,
    /// A harm to the call of this number, counted from 0.
    Harm(usize, Harm),
}

/// How a handler answered a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Handled,
    Rejected(String),
    Failed(String),
}

impl Answer {
    fn of(result: Result<(), HandlerError>) -> Self {
        let Err(error) = result else { return Self::Handled };
        match error.as_error().filter(|error| error.is_rejection()) {
            Some(rejection) => Self::Rejected(rejection.to_string()),
            None => Self::Failed(format!("{error:?}").replace("\ncaused by: ", ": ")),
        }
    }

    /// Whether this answer is what was expected: of a failure, words of its text are.
    pub(super) fn is(&self, expected: &Self) -> bool {
        match (self, expected) {
            (Self::Failed(text), Self::Failed(words)) => text.contains(words),
            _ => self == expected,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handled => f.write_str("it is handled"),
            Self::Rejected(reason) => write!(f, "a rejection: {reason}"),
            Self::Failed(text) => write!(f, "a failure: {text}"),
        }
    }
}

/// What came of a delivery.
pub(super) struct Outcome {
    pub(super) written: Vec<Recorded>,
    /// The messages of the spec as they were recorded.
    pub(super) whens: Vec<Recorded>,
    /// The last answer to each of them.
    pub(super) answers: Vec<Answer>,
    /// What the last handling of each of them noted and committed.
    pub(super) noted: Vec<Vec<String>>,
    pub(super) calls: Vec<Call>,
    pub(super) story: Vec<String>,
    pub(super) never_meanwhile: Option<StreamName>,
}

impl<H: Handler> Spec<'_, H> {
    /// Runs every delivery, and reports the first whose outcome is another than expected.
    pub(super) async fn run(&self) -> Result<(), String> {
        let once = self.deliver(&Plan::Once).await?;
        self.judge(&Plan::Once, &once)?;
        for plan in self.plans(&once.calls) {
            let outcome = self.deliver(&plan).await?;
            self.judge(&plan, &outcome)?;
        }
        Ok(())
    }

    /// Every delivery but the plain one, which made these calls.
    fn plans(&self, calls: &[Call]) -> Vec<Plan> {
        let mut plans = Vec::new();
        for delivery in Delivery::ALL.into_iter().filter(|it| !self.left_out.contains_key(it)) {
            let harm = match delivery {
                Delivery::Again => {
                    plans.push(Plan::Again);
                    continue;
                }
                Delivery::Restart => {
                    plans.extend((self.whens.len() > 1).then_some(Plan::Restart));
                    continue;
                }
                Delivery::Conflict => Harm::Conflict,
                Delivery::Crash => Harm::Crash,
                Delivery::LostReply => Harm::LostReply,
                Delivery::NoAnswer => Harm::NoAnswer,
            };
            let harmed = calls.iter().enumerate().filter(|(_, call)| harm.can_befall(call.kind));
            plans.extend(harmed.map(|(number, _)| Plan::Harm(number, harm)));
        }
        plans
    }

    async fn deliver(&self, plan: &Plan) -> Result<Outcome, String> {
        let mut run = Run::begin(self, plan).await.map_err(|error| format!("{error:#}"))?;
        run.all().await.map_err(|error| format!("{error:#}"))?;
        if matches!(plan, Plan::Again) {
            run.probe.note("   it came again");
            run.all().await.map_err(|error| format!("{error:#}"))?;
        }
        run.outcome().await.map_err(|error| format!("{error:#}"))
    }
}

impl Harm {
    fn can_befall(self, call: CallKind) -> bool {
        match self {
            Self::Crash | Self::NoAnswer => true,
            Self::LostReply => call != CallKind::Read,
            Self::Conflict => call == CallKind::Write { expects: true },
        }
    }
}

/// A delivery under way.
struct Run<'a, 'b, H: Handler> {
    spec: &'a Spec<'b, H>,
    plan: &'a Plan,
    probe: Probe,
    store: Recording,
    handler: H,
    log: TransactionLog,
    whens: Vec<Recorded>,
    answers: Vec<Answer>,
    noted: Vec<Vec<String>>,
}

impl<'a, 'b, H: Handler> Run<'a, 'b, H> {
    async fn begin(spec: &'a Spec<'b, H>, plan: &'a Plan) -> Result<Self, Error> {
        let harm = match plan {
            Plan::Harm(call, harm) => Some((*call, *harm)),
            Plan::Once | Plan::Again | Plan::Restart => None,
        };
        let (probe, log) = (Probe::new(harm), TransactionLog::default());
        for (stream, messages) in &spec.given {
            probe.write_as_other(stream, messages).await?;
        }
        if let Some((stream, messages)) = &spec.meanwhile {
            probe.meanwhile(stream, messages);
        }
        let store = store_of(&probe, &log);
        let handler = (spec.make)(store.clone());
        let (whens, answers, noted) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { spec, plan, probe, store, handler, log, whens, answers, noted })
    }

    /// Brings all messages, and all again after a crash.
    async fn all(&mut self) -> Result<(), Error> {
        let mut next = 0;
        while let Some(when) = self.spec.whens.get(next) {
            let recorded = self.come(next, when).await?;
            if let Some((answer, noted)) = self.settle(&recorded).await? {
                self.answers.truncate(next);
                self.answers.push(answer);
                self.noted.truncate(next);
                self.noted.push(noted);
                next += 1;
            } else {
                self.make_anew();
                self.probe.note("   it came again, to a new handler");
                next = 0;
            }
            if matches!(self.plan, Plan::Restart) && next < self.spec.whens.len() {
                self.make_anew();
                self.probe.note("   the next one came to a new handler");
            }
        }
        Ok(())
    }

    fn make_anew(&mut self) {
        self.probe = self.probe.next_process();
        self.store = store_of(&self.probe, &self.log);
        self.handler = (self.spec.make)(self.store.clone());
    }

    /// The message as it is recorded; it comes to stand when it comes for the first time.
    async fn come(&mut self, number: usize, when: &When) -> Result<Recorded, Error> {
        if let Some(recorded) = self.whens.get(number) {
            return Ok(recorded.clone());
        }
        self.probe.write_as_other(&when.stream, std::slice::from_ref(&when.message)).await?;
        let recorded = self.probe.recorded(when.message.id()).await?.ok_or_else(|| {
            Error::failed(format!("bringing a message to `{}`", H::NAME), "it is not in the store")
        })?;
        self.whens.push(recorded.clone());
        Ok(recorded)
    }

    /// The answer that a message gets in the end, and what was noted; nothing after a crash.
    async fn settle(&self, recorded: &Recorded) -> Result<Option<(Answer, Vec<String>)>, Error> {
        let retries = if matches!(self.plan, Plan::Harm(..)) { RETRIES } else { 0 };
        for attempt in 0..=retries {
            let mut context = self.store.context().await?;
            let handling = self.handle(recorded, &mut context);
            let Some(answer) = self.probe.until_crash(handling).await else { return Ok(None) };
            self.probe.recover();
            let before = self.log.effects().len();
            match self.end(answer, context).await {
                Answer::Failed(text) if attempt < retries => {
                    self.probe.note(format!("   it failed, and it came again: {text}"));
                }
                answer => return Ok(Some((answer, self.log.effects().split_off(before)))),
            }
        }
        Ok(None)
    }

    /// Commits what was done in the transaction of the message, or undoes it where that failed.
    async fn end(&self, answer: Answer, context: Context) -> Answer {
        if matches!(answer, Answer::Failed(_)) {
            context.rollback().await;
            return answer;
        }
        match context.commit().await {
            Ok(()) => answer,
            Err(error) => Answer::of(Err(error.into())),
        }
    }

    async fn handle(&self, recorded: &Recorded, context: &mut Context) -> Answer {
        let message = match H::Set::decode(recorded) {
            Ok(Some(message)) => message,
            Ok(None) => return Answer::Failed("its type is not in the set".into()),
            Err(error) => return Answer::of(Err(error.into())),
        };
        // As a subscriber names it, so that the ids of what follows are the same in each delivery.
        let received = match Received::new(message, recorded.clone(), format!("spec/{}", H::NAME)) {
            Ok(received) => received,
            Err(error) => return Answer::of(Err(error.into())),
        };
        match AssertUnwindSafe(self.handler.handle(received, context)).catch_unwind().await {
            Ok(result) => Answer::of(result),
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                Answer::Failed(format!("it panicked: {}", text.unwrap_or("without a text")))
            }
        }
    }

    async fn outcome(self) -> Result<Outcome, Error> {
        Ok(Outcome {
            written: self.probe.written().await?,
            calls: self.probe.calls(),
            story: self.probe.story(),
            never_meanwhile: self.probe.never_meanwhile(),
            whens: self.whens,
            answers: self.answers,
            noted: self.noted,
        })
    }
}

fn store_of(probe: &Probe, log: &TransactionLog) -> Recording {
    Recording::of(std::sync::Arc::new(probe.clone())).with_transactions(log)
}
