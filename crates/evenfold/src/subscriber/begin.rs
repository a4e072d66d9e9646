//! Each action of the machine, begun.
//!
//! Owns what an action needs of what the loop knows. How it is done is in `work.rs` and the files of
//! its topics, what the machine is told of its end in `told.rs`.

use std::sync::Arc;

use evenfold_core::handler::Context;
use evenfold_core::message::Recorded;
use evenfold_core::store::{Note, ParkedQueue, ParkingStream, Place, Progress, Standing};
use evenfold_core::subscriber::{Action, Fault as Kind, Input, Lane, Outcome, Record};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tracing::Instrument;

use super::dispatch::{Fault, Handled, Seal};
use super::driver::Poller;
use super::parking::{ToPark, ToTry, Tried, write_note};
use super::told::{Told, held_up};
use super::work::Work;
use crate::{ExpectedVersion, Position, StreamName, telemetry};

impl Poller {
    /// Begins an action.
    pub(super) fn begin(&mut self, action: Action) -> BoxFuture<'static, Told> {
        let work = Arc::clone(&self.work);
        let known = &mut self.known;
        match action {
            Action::ReadProgress(lane) => {
                // What was known of it before it was lost says nothing of where it is now.
                known.books.remove(&lane);
                async move { Told::Progress(lane, work.begin_with(lane).await) }.boxed()
            }
            Action::ReadNotes => {
                let notes = std::mem::take(&mut known.notes);
                async move {
                    let (notes, news) = work.read_notes(notes).await;
                    Told::Notes(notes, news)
                }
                .boxed()
            }
            Action::Fetch(from, _) => async move { Told::Page(work.fetch(from).await) }.boxed(),
            Action::Handle(place, progress) => self.begin_handling(place, progress),
            Action::Skip(place) => {
                self.polled.skipped += 1;
                if let (Some(recorded), Some(fault)) =
                    (known.messages.get(&place), known.faults.get(&place))
                {
                    telemetry::skipped(&work.id, recorded, fault);
                }
                ready(Told::Skipped(place)).boxed()
            }
            Action::Park(place, cause) => {
                let Some(recorded) = known.messages.get(&place).cloned() else {
                    let gone = Input::Parked(place, Err(Kind::Failed));
                    return ready(Told::Gone(gone)).boxed();
                };
                let fault = known.faults.get(&place).cloned();
                let stream = &recorded.stream_name;
                let is_replay = known.is_replay(work.lane_of(stream).unwrap_or_default(), place);
                let parked = self.machine.parked_of(stream).cloned().unwrap_or_default();
                let to_park = ToPark { recorded, cause, fault, is_replay, known: parked };
                async move { Told::Parked(place, work.park(to_park).await) }.boxed()
            }
            Action::Replay(stream, position) => {
                let attempt = self.machine.replay_attempts(&stream) + 1;
                let is_begun = known.replays.get(&stream) == Some(&position);
                let to_try = self.to_try(stream, position, is_begun);
                replay(work, to_try, attempt).boxed()
            }
            Action::NoteFailure(stream, position, attempts) => {
                let fault = known.replay_faults.get(&stream).cloned();
                let tried = self.to_try(stream.clone(), position, true);
                async move {
                    let noted = work.note_failure(tried, attempts, fault).await;
                    Told::Noted(stream, noted)
                }
                .boxed()
            }
            Action::Record(lane, record) => self.begin_recording(lane, record),
            Action::Renew => async move { Told::Held(work.renew().await) }.boxed(),
            Action::Release(lane) => {
                async move { Told::Released(lane, work.release(lane).await) }.boxed()
            }
            Action::Leave => async move { Told::Left(work.leave().await) }.boxed(),
            // The loop ends there and begins nothing more.
            Action::Stop(_) => ready(Told::Gone(Input::Left)).boxed(),
        }
    }

    fn to_try(&self, stream: StreamName, position: Position, is_begun: bool) -> ToTry {
        let known = self.machine.parked_of(&stream).cloned().unwrap_or_default();
        ToTry { stream, position, is_begun, known }
    }

    fn begin_handling(
        &mut self,
        place: Place,
        progress: Option<Progress>,
    ) -> BoxFuture<'static, Told> {
        let work = Arc::clone(&self.work);
        let gone = Input::Handled(place, Outcome::Fault(Kind::Failed));
        let Some(recorded) = self.known.messages.get(&place).cloned() else {
            return ready(Told::Gone(gone)).boxed();
        };
        let lane = work.lane_of(&recorded.stream_name).unwrap_or_default();
        let is_replay = self.known.is_replay(lane, place);
        let attempt = self.machine.attempts(place) + 1;
        let span = telemetry::handling(&work.id, &recorded, attempt);
        self.meters.begin(place);
        let Some(mut progress) = progress else {
            return async move {
                let handled = work.dispatch(&recorded, is_replay, &mut Context::empty()).await;
                Told::Handled(recorded, lane, None, handled)
            }
            .instrument(span)
            .boxed();
        };
        let Some(mut book) = self.known.books.get(&lane).cloned() else {
            return ready(Told::Gone(gone)).boxed();
        };
        progress.replay = self.replay_after(lane, progress.done);
        async move {
            let sealed = match book.settle(&work.store, &work.id).await {
                Ok(()) => book.with_effects(&progress, place),
                Err(error) => Err(error),
            };
            let handled = match sealed {
                Ok((message, expected)) => {
                    let stream = book.stream.stream();
                    let (of, is_unsure) = (Some(&work.id), book.is_unsure);
                    let seal = Seal { stream, message, expected, of, is_unsure };
                    work.handle(&recorded, Some(seal), is_replay).await
                }
                Err(error) => Err(Fault::of_store(error)),
            };
            match &handled {
                Ok(Handled { committed: Some(at), .. }) => book.stands(*at),
                // Also where a later try fails before its commit, the earlier one may stand.
                Err(Fault::Unavailable(_)) => book.is_unsure = true,
                _ => {}
            }
            Told::Handled(recorded, lane, Some(book), handled)
        }
        .instrument(span)
        .boxed()
    }

    fn begin_recording(&mut self, lane: Lane, record: Record) -> BoxFuture<'static, Told> {
        let work = Arc::clone(&self.work);
        let Some(mut book) = self.known.books.get(&lane).cloned() else {
            let gone = Input::Recorded(lane, Err(Kind::Failed));
            return ready(Told::Gone(gone)).boxed();
        };
        let is_stopped = record.is_last && self.machine.is_failing();
        if self.machine.take_overflow() {
            let full = self.lot_is_full();
            self.report(None, &full, 1);
            self.known.fault = Some(full);
        }
        let reason = if record.is_held { self.why_held(lane) } else { None };
        let fault = self.known.fault.as_ref().filter(|_| is_stopped || record.is_held);
        let reason = reason.or_else(|| fault.map(|fault| format!("{fault:#}")));
        let standing = reason.map(|reason| Standing { stopped: is_stopped, reason });
        let replay = self.replay_after(lane, record.done);
        let progress = Progress {
            done: record.done,
            began: record.began,
            standing,
            replay,
            ..Progress::default()
        };
        async move {
            let recorded = book.record(&work.store, &work.id, &progress).await;
            Told::Recorded(lane, book, recorded)
        }
        .boxed()
    }

    /// Why a lane stands still: its first message that fails, one that finds no room, or a transaction
    /// that others have left open.
    fn why_held(&self, lane: Lane) -> Option<String> {
        let is_of_lane = |place: &Place| {
            let message = self.known.messages.get(place);
            message.and_then(|it| self.work.lane_of(&it.stream_name)) == Some(lane)
        };
        let failing = self.known.faults.iter().find(|(place, _)| is_of_lane(place));
        let full = || {
            let limit = self.work.options.parked_limit;
            let stream = self.machine.full_stream(lane)?;
            Some(format!(
                "{limit} messages of `{stream}` are parked, which is its limit; replay or discard \
                 them, or raise `parked_limit`"
            ))
        };
        let reader = || self.known.held.as_ref().map(held_up);
        failing.map(|(_, fault)| format!("{fault:#}")).or_else(full).or_else(reader)
    }
}

/// Tries a parked message again, and notes that it is done with.
async fn replay(work: Arc<Work>, to_try: ToTry, attempt: u32) -> Told {
    let mut tried = Tried {
        stream: to_try.stream.clone(),
        position: to_try.position,
        is_begun: to_try.is_begun,
        recorded: None,
        queue: ParkedQueue::default(),
    };
    let result = try_due(&work, to_try, attempt, &mut tried).await;
    Told::Replayed(tried, result)
}

async fn try_due(
    work: &Work,
    to_try: ToTry,
    attempt: u32,
    tried: &mut Tried,
) -> Result<Option<Handled>, Fault> {
    let (queue, found) = work.due(to_try).await.map_err(Fault::of_store)?;
    tried.queue = queue;
    let Some(found) = found else { return Ok(None) };
    let recorded = found.map_err(Fault::Hopeless)?;
    tried.recorded = Some(Arc::clone(&recorded));
    let (parking, position) = (work.parking(&tried.stream), tried.position);
    if !tried.is_begun && work.options.crashes.is_some() {
        // So that who comes after a crash knows of it.
        let known = std::mem::take(&mut tried.queue);
        let begun = write_note(&work.store, &parking, known, None, |queue| {
            queue.at(position).is_some().then_some(Note::ReplayBegun { position })
        });
        tried.queue = begun.await.map_err(Fault::of_store)?;
    }
    tried.is_begun = true;
    let span = telemetry::handling(&work.id, &recorded, attempt);
    let handled = try_again(work, &parking, &recorded, &mut tried.queue).instrument(span).await?;
    Ok(Some(handled))
}

async fn try_again(
    work: &Work,
    parking: &ParkingStream,
    recorded: &Arc<Recorded>,
    queue: &mut ParkedQueue,
) -> Result<Handled, Fault> {
    let position = recorded.position;
    let note = Note::Replayed { position };
    let seal = if work.options.transactional {
        let id = work.store.ids().next();
        let message = note.message(id, Some(recorded)).map_err(Fault::of_store)?;
        let expected = ExpectedVersion::from(queue.version());
        Some(Seal { stream: parking.stream(), message, expected, of: None, is_unsure: false })
    } else {
        None
    };
    let is_replay = queue.at(position).is_some_and(|parked| parked.is_replay);
    let handled = work.handle(recorded, seal, is_replay).await?;
    if let Some(at) = handled.committed {
        queue.noted(note, at);
        return Ok(handled);
    }
    let known = std::mem::take(queue);
    let noted = write_note(&work.store, parking, known, Some(recorded), |queue| {
        queue.at(position).is_some().then_some(note.clone())
    });
    *queue = noted.await.map_err(Fault::of_store)?;
    Ok(handled)
}
