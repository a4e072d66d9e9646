//! The memory store behind a wrapper that does one thing wrong.
//!
//! Which fault breaks which laws is in `main.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use evenfold_core::error::{Conflict, DuplicateId};
use evenfold_core::message::NewMessage;
use evenfold_core::store::{
    Ability, BatchSize, BrowseStore, CategoryQuery, Context, MessageStore, ReadStore, WriteStore,
    Written,
};
use evenfold_core::{Error, ExpectedVersion, GlobalPosition, Memory, Position, StreamName};
use evenfold_testkit::conformance::Backend;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::transactions::begin;

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    IgnoresExpectedVersion,
    ChecksVersionBeforeIds,
    ChecksVersionInAnotherStep,
    TakesTheVersionOfTheCategory,
    WritesHalfABatch,
    WritesABatchInSteps,
    WritesBeforeItIsPolled,
    TakesAnIdTwiceForARepetition,
    AnswersADuplicateAsSuccess,
    AnswersARepetitionWithTheVersion,
    AcceptsAnEmptyBatch,
    ReadsFromBehind,
    ReadsOneTooMany,
    ReadsOneTooFew,
    ReadsACategoryFromBehind,
    LimitsBeforeItFilters,
    DropsTheCorrelation,
    DropsTheGroup,
    DropsTheTypes,
    KeepsTheMetadata,
    MatchesACategoryByPrefix,
    ReadsACategoryAsAStream,
    MistakesTheLastOfAType,
    LosesMetadata,
    LosesTypesCase,
    TakesMalformedProgressForNone,
    AnswersProgressFromTheFirstRecord,
    LosesProgress,
    ListsUnsorted,
    CountsOneTooFew,
    FindsNothingById,
    MatchesAStreamByPrefix,
    TakesNoStreamForZero,
    ListsByPrefix,
    ListsTheOneGiven,
    ListsAllAfterAnUnknownName,
    FindsAnythingById,
    ReadsTheLastPastTheEnd,
    AnswersTheFirstAsTheLast,
    RefusesACategoryAlone,
    CountsVersionsFromOne,
    ChecksTheVersionAfterTheBatch,
    StartsProgressAtZero,
    RecordsProgressUnderOtherIds,
    KnowsWholeBatchesAlone,
    MergesFromBehind,
    MergesOneTooMany,
    MergesByCategory,
    MergesBookkeeping,
    ScansPastWhatItRead,
    StaysWhereNothingMatches,
    DecidesWhatDoesNotStandYet,
    TakesTheHeadOfTheStore,
    CountsTheLastOneHandled,
    CountsWithoutTheFilter,
    DeclaresAnAbilityTwice,
    ClaimsToBeDurable,
    ClaimsToBeShared,
    ClaimsToHaveTransactions,
    WritesBeforeTheCommit,
    CommitsNothing,
    CommitsWhatIsDropped,
    EndsAtARefusal,
    DoesNotSeeItsOwn,
    CommitsWithoutACheck,
    TakesARepetitionForNew,
    DeniesItsLeases,
    KeepsAGroupForEachMember,
    NeverForgetsAMember,
    ForgetsEachMember,
    TellsNoSurplus,
    TakesSurplusAway,
    TakesTheHighest,
    CountsEpochsFromZero,
    TakesALeaseThatRanOut,
    ReleasesForAnyone,
    ReleasesNothing,
    LeavesNothing,
    TakesAnyNumberOfBuckets,
    MixesGroups,
    ListsEveryLabelAlike,
    RenewsBeforeItIsPolled,
    LooksAndTakesInTwoSteps,
}

use Fault::*;

#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) memory: Memory,
    pub(super) fault: Fault,
}

impl Broken {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    async fn write_one_by_one(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        evenfold_core::store::check_batch(messages)?;
        let (first, rest) = messages.split_at(1);
        let mut last = self.memory.write(stream, first, expected).await?;
        tokio::task::yield_now().await;
        // A batch that was written before is told as such, so that only the steps are the fault.
        if last.is_repetition() || rest.is_empty() {
            return self.memory.write(stream, messages, expected).await;
        }
        for message in rest {
            let one = std::slice::from_ref(message);
            last = self.memory.write(stream, one, ExpectedVersion::Any).await?;
            tokio::task::yield_now().await;
        }
        Ok(last)
    }

    /// The faults of what is written; the others are those of ids and of expectations.
    async fn write_wrong(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        let memory = &self.memory;
        let right = || memory.write(stream, messages, expected);
        match self.fault {
            WritesHalfABatch => match right().await {
                Err(error) if error.is_duplicate_id() && messages.len() > 1 => {
                    let (half, _) = messages.split_at(messages.len() / 2);
                    memory.write(stream, half, expected).await.map(drop).unwrap_or_default();
                    Err(error)
                }
                answer => answer,
            },
            WritesABatchInSteps => self.write_one_by_one(stream, messages, expected).await,
            RefusesACategoryAlone => memory.write(stream.require_id()?, messages, expected).await,
            AcceptsAnEmptyBatch if messages.is_empty() => Ok(Written::now(Position::START)),
            LosesMetadata => {
                let plain = messages.iter().cloned().map(|it| it.with_metadata(<_>::default()));
                memory.write(stream, &plain.collect::<Vec<_>>(), expected).await
            }
            _ => self.repeat_wrong(stream, messages, expected).await,
        }
    }

    /// The faults of ids that are there already.
    async fn repeat_wrong(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        let memory = &self.memory;
        let right = || memory.write(stream, messages, expected);
        match self.fault {
            TakesAnIdTwiceForARepetition if messages.len() > 1 => {
                let mut ids = BTreeSet::new();
                let mut once = messages.to_vec();
                once.retain(|message| ids.insert(message.id()));
                memory.write(stream, &once, expected).await
            }
            AnswersADuplicateAsSuccess => match right().await {
                Err(error) if error.is_duplicate_id() => Ok(Written::before(Position::START)),
                answer => answer,
            },
            AnswersARepetitionWithTheVersion => {
                let written = right().await?;
                let version = memory.stream_version(stream).await?;
                Ok(match version.filter(|_| written.is_repetition()) {
                    Some(version) => Written::before(version),
                    None => written,
                })
            }
            KnowsWholeBatchesAlone => {
                let written = right().await?;
                let mut positions = BTreeSet::new();
                for message in messages.iter().filter(|_| written.is_repetition()) {
                    let found = memory.message(message.id()).await?;
                    positions.extend(found.map(|found| (found.time, found.position)));
                }
                let times: BTreeSet<_> = positions.iter().map(|(time, _)| time).collect();
                match (messages.first(), positions.first()) {
                    (Some(first), Some((_, position))) if times.len() > 1 => {
                        Err(DuplicateId::new(first.id(), stream.clone(), *position).into())
                    }
                    _ => Ok(written),
                }
            }
            _ => self.check_wrong(stream, messages, expected).await,
        }
    }

    /// The faults of what is expected.
    async fn check_wrong(
        &self,
        stream: &StreamName,
        messages: &[NewMessage],
        expected: ExpectedVersion,
    ) -> Result<Written, Error> {
        let memory = &self.memory;
        let right = || memory.write(stream, messages, expected);
        match self.fault {
            IgnoresExpectedVersion => memory.write(stream, messages, ExpectedVersion::Any).await,
            ChecksVersionBeforeIds => {
                let version = memory.stream_version(stream).await?;
                if expected.holds(version) {
                    return right().await;
                }
                Err(Conflict::new(stream.clone(), expected, version).into())
            }
            ChecksVersionInAnotherStep => {
                if expected.holds(memory.stream_version(stream).await?) {
                    tokio::task::yield_now().await;
                    return memory.write(stream, messages, ExpectedVersion::Any).await;
                }
                right().await
            }
            TakesTheVersionOfTheCategory => {
                let query = CategoryQuery::new(stream.category());
                let start = GlobalPosition::START;
                let all = memory.read_category(&query, start, BatchSize::new(1_000_000)?).await?;
                let count = i64::try_from(all.len()).unwrap_or_default() - 1;
                let version = Position::new(count).ok();
                if expected.holds(version) {
                    return memory.write(stream, messages, ExpectedVersion::Any).await;
                }
                Err(Conflict::new(stream.clone(), expected, version).into())
            }
            TakesNoStreamForZero if expected == ExpectedVersion::NoStream => {
                memory.write(stream, messages, ExpectedVersion::At(Position::START)).await
            }
            CountsVersionsFromOne => {
                let expected = match expected {
                    ExpectedVersion::At(Position::START) => ExpectedVersion::NoStream,
                    ExpectedVersion::At(at) => ExpectedVersion::At(Position::new(at.get() - 1)?),
                    other => other,
                };
                memory.write(stream, messages, expected).await
            }
            ChecksTheVersionAfterTheBatch => {
                let more = i64::try_from(messages.len()).unwrap_or_default() - 1;
                let before = match expected {
                    ExpectedVersion::At(at) => {
                        ExpectedVersion::from(Position::new(at.get() - more).ok())
                    }
                    other => other,
                };
                memory.write(stream, messages, before).await
            }
            _ => right().await,
        }
    }
}

impl WriteStore for Broken {
    fn write<'a>(
        &'a self,
        stream: &'a StreamName,
        messages: &'a [NewMessage],
        expected: ExpectedVersion,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        let mut wrong = self.write_wrong(stream, messages, expected).boxed();
        if self.has(WritesBeforeItIsPolled)
            && let Some(answer) = (&mut wrong).now_or_never()
        {
            return ready(answer).boxed();
        }
        wrong
    }
}

impl MessageStore for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn abilities(&self) -> &'static [Ability] {
        match self.fault {
            DeclaresAnAbilityTwice => &[Ability::Durable, Ability::Durable],
            ClaimsToBeDurable => &[Ability::Durable],
            ClaimsToBeShared => &[Ability::SharedByProcesses],
            DeniesItsLeases => &[],
            fault if fault.is_of_transactions() => &[Ability::Leases, Ability::Transactions],
            _ => &[Ability::Leases],
        }
    }

    fn context(&self) -> BoxFuture<'_, Result<Context, Error>> {
        begin(self).boxed()
    }
}

impl Backend for Fault {
    type Home = Memory;

    fn name(&self) -> &'static str {
        "broken"
    }

    fn home(&self) -> BoxFuture<'_, Result<Memory, Error>> {
        ready(Ok(Memory::new())).boxed()
    }

    fn open<'a>(&'a self, home: &'a Memory) -> BoxFuture<'a, Result<Arc<dyn MessageStore>, Error>> {
        let kept = !matches!(self, ClaimsToBeDurable | ClaimsToBeShared);
        let memory = if kept { home.clone() } else { Memory::new() };
        let store: Arc<dyn MessageStore> = Arc::new(Broken { memory, fault: *self });
        ready(Ok(store)).boxed()
    }
}
