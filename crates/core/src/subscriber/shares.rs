//! Which lanes are ours, where members share the work.
//!
//! Owns how a lane is taken and given up. When leases are to be renewed is in `tenure.rs`.

use std::time::Duration;

use super::lane::Track;
use super::machine::Reader;
use super::{Action, Fault, Lane, Machine};
use crate::store::Place;

impl Machine {
    pub(super) fn held(&mut self, held: Result<(Vec<Lane>, Vec<Lane>), Fault>, now: Duration) {
        let Some(tenure) = &mut self.tenure else { return };
        let (held, surplus) = match held {
            Ok(held) => held,
            Err(Fault::Unavailable) => return tenure.not_renewed(now),
            Err(Fault::Superseded | Fault::Failed) => {
                tenure.not_renewed(now);
                return self.fail();
            }
        };
        tenure.renewed();
        let is_lost = |lane: &Lane| !held.contains(lane);
        let lost: Vec<_> = self.lanes.keys().copied().filter(is_lost).collect();
        for lane in lost {
            self.drop_lane(lane);
        }
        for lane in held {
            self.keep(lane, surplus.contains(&lane));
        }
    }

    /// A lane is ours, for now where it is one too many.
    fn keep(&mut self, lane: Lane, is_surplus: bool) {
        let is_let_go = self.releasing.contains(&lane) || self.let_go.contains(&lane);
        let is_leaving = is_surplus || is_let_go;
        let Some(track) = self.lanes.get_mut(&lane) else {
            if self.stopping.is_none() && !is_leaving {
                self.lanes.insert(lane, Track::new());
            } else if self.stopping.is_none() && !is_let_go {
                // It is not even begun with.
                self.releasing.push(lane);
                self.let_go.push(lane);
                self.urgent.push_back(Action::Release(lane));
            }
            return;
        };
        track.is_draining = is_leaving && !track.is_gone();
        track.is_test_wanted &= !track.is_draining;
        if !track.is_draining {
            track.is_ended = false;
            let waiting = track.take_held();
            self.queues.release(waiting);
        }
    }

    pub(super) fn released(&mut self, lane: Lane, released: Result<(), Fault>, now: Duration) {
        self.releasing.retain(|releasing| *releasing != lane);
        // Otherwise it runs out by itself, or is asked for again after the next renewal.
        if released.is_ok() {
            self.drop_lane(lane);
            if let Some(tenure) = &mut self.tenure {
                tenure.renew_soon(now);
            }
        }
    }

    /// A lane is ours no more. It is not taken again before every answer of it is in.
    pub(super) fn drop_lane(&mut self, lane: Lane) {
        let Some(track) = self.lanes.get_mut(&lane).filter(|track| !track.is_gone()) else {
            return;
        };
        let (queues, lot) = (&mut self.queues, &mut self.lot);
        // What was decided and not begun does not begin.
        self.urgent.retain(|action| {
            let (Action::Skip(place) | Action::Park(place, _)) = action else { return true };
            let of_lane = queues.running_at(*place).filter(|item| item.lane == lane);
            let Some(item) = of_lane else { return true };
            lot.parked_one(&item.stream);
            queues.give_back(*place);
            track.running = track.running.saturating_sub(1);
            false
        });
        track.leave_behind();
        queues.drop_lane(lane);
        if let Reader::Fetching(lanes) = &mut self.reader {
            lanes.retain(|fetched| *fetched != lane);
        }
        self.bury();
        self.end_test(lane);
    }

    /// The message is not tested, or not any more. Nothing else begins before that is recorded, if it
    /// was recorded that the test begins.
    pub(super) fn untested(&mut self, lane: Lane, place: Place) {
        let Some(track) = self.lanes.get_mut(&lane) else { return };
        if !track.is_behind(place) && !track.end_test() {
            self.end_test(lane);
        }
    }

    /// If a suspect of this lane is being tested, others may begin again.
    pub(super) fn end_test(&mut self, lane: Lane) {
        if self.tested == Some(lane) {
            self.tested = None;
            if let Some(track) = self.lanes.get_mut(&lane) {
                track.is_test_wanted = false;
            }
            self.release_held(lane);
        }
    }

    /// Forgets the lanes that are ours no more and of which every answer is in; whether there were any.
    pub(super) fn bury(&mut self) -> bool {
        let lanes = self.lanes.len();
        self.lanes.retain(|_, track| !track.is_gone() || track.is_under_way());
        self.lanes.len() < lanes
    }
}
