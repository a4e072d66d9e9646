//! Faults that the next writes meet.

use evenfold_core::Category;

use super::Recording;

#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) left: u32,
    pub(super) category: Option<Category>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    Conflict,
    Find,
    LoseReply,
    Refuse,
}

/// Faults for the writes to one category.
#[derive(Debug)]
pub struct FaultsIn<'a> {
    pub(super) recording: &'a Recording,
    pub(super) category: Category,
}

impl FaultsIn<'_> {
    /// As [`Recording::conflict_next`].
    pub fn conflict_next(self, times: u32) {
        self.recording.fault(FaultKind::Conflict, times, Some(self.category));
    }

    /// As [`Recording::lose_reply_next`].
    pub fn lose_reply_next(self, times: u32) {
        self.recording.fault(FaultKind::LoseReply, times, Some(self.category));
    }

    /// As [`Recording::refuse_next`].
    pub fn refuse_next(self, times: u32) {
        self.recording.fault(FaultKind::Refuse, times, Some(self.category));
    }
}
