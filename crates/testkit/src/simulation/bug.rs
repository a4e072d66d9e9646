//! Faults that can be planted in the simulated engine, so that a test sees that the laws bite.

/// A fault of an engine, as one might be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A message is said to be done with when it begins.
    DoneBeforeFinished,
    /// A lease that another member took is still said to be held.
    LostLeaseIgnored,
    /// The notes on parked messages are not read.
    ParkedNotRead,
    /// The last record of a lane is not written.
    FlushSkipped,
    /// How far the store goes is asked after the messages were read.
    WatermarkAfterRows,
    /// The messages of one stream fall to several lanes.
    StreamInTwoLanes,
    /// Progress is committed with the effects whatever was recorded meanwhile.
    CommitWithoutCompare,
    /// What is begun is not written into the record.
    BegunNotRecorded,
    /// A record made before anything is done with does not say where the subscriber began.
    StartNotRecorded,
    /// Progress is recorded whatever was recorded meanwhile.
    RecordWithoutCompare,
    /// A page that could not be read is never answered.
    FailedReadNotAnswered,
    /// Who is held up reads a page like any that is empty.
    HoldUpNotTold,
}
