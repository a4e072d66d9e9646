//! From the options of a subscriber to what runs.
//!
//! Owns what is refused before anything is read, and how many cursors there are. What each option
//! means stands in `builder.rs`.

use std::sync::Arc;
use std::time::Duration;

use evenfold_core::error::Invalid;
use evenfold_core::store::{
    BatchSize, Categories, CategoryQuery, ConsumerGroup, LeaseGroup, Member, ParkingLot, Place,
    ProgressStream, SubscriberId, Unit,
};
use evenfold_core::subscriber::{Options, Then};

use super::builder::Subscriber;
use super::dispatch::Dispatch;
use super::driver::Poller;
use super::work::{Share, Source, Tenancy, Work};
use crate::{Category, Error, GlobalPosition, Position};

/// For how long a member that is not heard of keeps its leases.
const LEASE_TERM: Duration = Duration::from_secs(10);

/// After how many crashes in the middle of a message a subscriber that parks does so.
const CRASHES: u32 = 3;

/// What one cursor reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merging {
    /// The categories of the handlers.
    Handled,
    All,
}

impl Merging {
    /// What was written for it.
    pub(super) fn call(self) -> &'static str {
        match self {
            Self::Handled => "`.merged()`",
            Self::All => "`.merged_all()`",
        }
    }
}

/// Where a subscriber begins that has no progress yet: a global position of a category, or a
/// position of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// For a subscriber of a category.
    Category(GlobalPosition),
    /// For a subscriber of a stream.
    Stream(Position),
}

impl From<GlobalPosition> for Start {
    fn from(position: GlobalPosition) -> Self {
        Self::Category(position)
    }
}

impl From<Position> for Start {
    fn from(position: Position) -> Self {
        Self::Stream(position)
    }
}

impl Subscriber {
    /// The subscriber to be driven by hand, a page at a time.
    ///
    /// # Errors
    ///
    /// When its options contradict each other or are out of range, or it reads several categories by a
    /// cursor each.
    pub fn into_poller(self) -> Result<Poller, Error> {
        let id = self.id.clone();
        let mut pollers = self.into_pollers()?;
        match pollers.pop() {
            Some(poller) if pollers.is_empty() => Ok(poller),
            _ => {
                let rule = "it reads several categories by a cursor each, which a host runs; \
                            or say `.merged()`";
                Err(Invalid::new("subscriber", id, rule).into())
            }
        }
    }

    /// Whether a filter leaves out messages of streams that nobody else sees to, and all that is passed
    /// by is of one category.
    const fn passes_what_is_its_own(&self) -> bool {
        let is_filtered = self.is_handled_only || self.correlation.is_some();
        is_filtered && self.leased.is_none() && self.merged.is_none()
    }

    /// What it takes to run the subscriber: one for each cursor.
    pub(crate) fn into_pollers(mut self) -> Result<Vec<Poller>, Error> {
        let id = SubscriberId::new(self.id.as_str())?;
        self.check_handlers(&id)?;
        let sources = self.sources(&id)?;
        let unit = sources.first().map_or(Unit::GlobalPosition, |(source, _)| source.unit());
        let crashes = (self.errors.then() == Then::Park).then_some(CRASHES);
        let options = Options {
            batch_size: BatchSize::new(self.batch_size.into())?,
            start: self.start_place(unit)?,
            records_passed: self.passes_what_is_its_own(),
            crashes: self.options.crashes.or(crashes),
            ..self.options.clone()
        };
        options.check()?;
        self.errors.check()?;
        self.check_lease_term()?;
        self.check_less(&id)?;
        let handlers: Arc<[Box<dyn Dispatch>]> = std::mem::take(&mut self.handlers).into();
        let converters = Arc::new(std::mem::take(&mut self.converters));
        let poller = |(source, share)| {
            let work = Work {
                store: self.store.clone(),
                id: id.clone(),
                source,
                share,
                version: self.version,
                options: options.clone(),
                handlers: Arc::clone(&handlers),
                converters: Arc::clone(&converters),
                strict: self.strict,
                has_metadata: self.has_metadata,
                errors: self.errors,
                policies: self.policies.clone(),
                on_error: self.on_error.clone(),
                on_rejection: self.on_rejection.clone(),
            };
            Poller::new(work, options.clone())
        };
        Ok(sources.into_iter().map(poller).collect())
    }

    /// Who has a say on messages of any type gets them all, and whole.
    fn check_less(&self, id: &SubscriberId) -> Result<(), Invalid> {
        let converts = !self.converters.is_empty();
        let (bare, only) = (!self.has_metadata, self.is_handled_only);
        let rules = [
            (
                self.strict && only,
                "`.strict()` needs the messages that `.handled_only()` leaves out",
            ),
            (
                converts && only,
                "`.converter(…)` needs the messages that `.handled_only()` leaves out",
            ),
            (converts && bare, "`.converter(…)` may need what `.without_metadata()` leaves out"),
        ];
        let broken = rules.into_iter().find(|(is_broken, _)| *is_broken);
        broken.map_or(Ok(()), |(_, rule)| Err(Invalid::new("subscriber", id, rule)))
    }

    fn check_lease_term(&self) -> Result<(), Invalid> {
        let refuse = |term, rule| Err(Invalid::new("lease term", format!("{term:?}"), rule));
        match (self.lease_term, self.leased) {
            (Some(term), None) => refuse(term, "there are no leases; say `.leased(…)` too"),
            (Some(Duration::ZERO), _) => refuse(Duration::ZERO, "it must be longer than nothing"),
            _ => Ok(()),
        }
    }

    /// The calls that share the work or filter what comes, as far as they were made.
    fn narrowed_by(&self) -> Vec<&'static str> {
        let calls = [
            (self.leased.is_some(), "`.leased(…)`"),
            (self.group.is_some(), "`.group(…)`"),
            (self.correlation.is_some(), "`.correlated_with(…)`"),
            (self.is_handled_only, "`.handled_only()`"),
        ];
        calls.into_iter().filter_map(|(is_made, call)| is_made.then_some(call)).collect()
    }

    /// Handlers that wait for messages of another category would wait for ever, and two of one name
    /// would share the ids of what they write.
    fn check_handlers(&self, id: &SubscriberId) -> Result<(), Invalid> {
        for (index, handler) in self.handlers.iter().enumerate() {
            if self.stream.is_none() && !self.categories.contains(&handler.category()) {
                let rule = format!(
                    "its set is of category `{}`, and subscriber `{id}` reads `{}`; \
                     add it by `.also(…)` to read both",
                    handler.category(),
                    self.categories.join("`, `")
                );
                return Err(Invalid::new("handler", handler.name(), rule));
            }
            let before = self.handlers.iter().take(index);
            if before.clone().any(|other| other.name() == handler.name()) {
                let rule = format!(
                    "subscriber `{id}` has another handler of this name; \
                     say `#[handler(…, name = \"…\")]`"
                );
                return Err(Invalid::new("handler", handler.name(), rule));
            }
        }
        Ok(())
    }

    /// What each cursor reads, and how that is shared.
    fn sources(&self, id: &SubscriberId) -> Result<Vec<(Source, Share)>, Error> {
        if self.version == 0 {
            return Err(Invalid::new("version", 0, "versions are counted from 1").into());
        }
        let group = match self.group {
            Some((member, size)) => Some(ConsumerGroup::new(member, size)?),
            None => None,
        };
        let mut narrowed = self.narrowed_by();
        if let Some(stream) = self.stream.clone() {
            let stream = stream?;
            narrowed.extend(self.merged.map(Merging::call));
            if let [first, more @ ..] = narrowed.as_slice() {
                let rule = format!(
                    "`.entity(…)` or `.stream(…)` reads one stream, so {} not go with it",
                    do_not(first, more)
                );
                return Err(Invalid::new("stream name", stream, rule).into());
            }
            let progress = ProgressStream::of_stream(&stream, id)?;
            return Ok(vec![(Source::Stream(stream), self.whole(progress))]);
        }
        let categories = self.categories.iter().map(|name| Category::new(*name));
        let categories = categories.collect::<Result<Vec<_>, _>>()?;
        if let Some(merging) = self.merged {
            narrowed.extend((!self.has_metadata).then_some("`.without_metadata()`"));
            if let [first, more @ ..] = narrowed.as_slice() {
                let rule = format!(
                    "{} reads several categories by one cursor, so {} not go with it",
                    merging.call(),
                    do_not(first, more)
                );
                return Err(Invalid::new("subscriber", id, rule).into());
            }
            let categories = match merging {
                Merging::Handled => Categories::of(categories)?,
                Merging::All => Categories::all(),
            };
            let progress = ProgressStream::of_merged(&categories, id);
            return Ok(vec![(Source::Merged(categories), self.whole(progress))]);
        }
        categories.into_iter().map(|category| self.source(id, category, group)).collect()
    }

    fn source(
        &self,
        id: &SubscriberId,
        category: Category,
        group: Option<ConsumerGroup>,
    ) -> Result<(Source, Share), Error> {
        let mut progress = ProgressStream::of_category(&category, id, group);
        if progress.stream().category_str() == category.as_str() {
            let rule = "its subscriber would read its own progress";
            return Err(Invalid::new("category", category, rule).into());
        }
        if ParkingLot::is_of(&category) {
            let rule = "its subscriber would read its own notes on what it parks";
            return Err(Invalid::new("category", category, rule).into());
        }
        let mut query = CategoryQuery::new(category.clone());
        if let Some(correlation) = self.correlation.clone() {
            let correlation = correlation?;
            progress = progress.correlated_with(&correlation);
            query = query.correlated_with(correlation);
        }
        if let Some(group) = group {
            query = query.for_member(group);
        }
        if !self.has_metadata {
            query = query.without_metadata();
        }
        if self.is_handled_only {
            let of_category = self.handlers.iter().filter(|it| it.category() == category.as_str());
            query = query.of_types(of_category.flat_map(|it| it.types()));
        }
        if self.version > 1 && (group.is_some() || self.leased.is_some()) {
            let rule = "a subscriber that shares its work (`.leased`, `.group`) has no versions; use \
                        another id, or `reset_to`";
            return Err(Invalid::new("version", self.version, rule).into());
        }
        let Some(buckets) = self.leased else {
            return Ok((Source::Category(query), self.whole(progress)));
        };
        if group.is_some() || self.correlation.is_some() {
            let rule = "`.leased(…)` shares all of a category, so `.group(…)` and \
                        `.correlated_with(…)` do not go with it";
            return Err(Invalid::new("subscriber", id, rule).into());
        }
        let group = LeaseGroup::new(progress.stream().clone(), buckets)?;
        let label = format!("process {}", std::process::id());
        let member = Member { id: self.store.ids().next(), label };
        let tenancy =
            Tenancy { category, group, member, term: self.lease_term.unwrap_or(LEASE_TERM) };
        Ok((Source::Category(query), Share::Leased(tenancy)))
    }

    fn whole(&self, first: ProgressStream) -> Share {
        let before = (1..self.version).map(|before| first.clone().version(before)).collect();
        Share::Whole { progress: first.version(self.version), before }
    }

    fn start_place(&self, unit: Unit) -> Result<Option<Place>, Invalid> {
        match (self.start, unit) {
            (None, _) => Ok(None),
            (Some(Start::Category(position)), Unit::GlobalPosition) => Ok(Some(position.get())),
            (Some(Start::Stream(position)), Unit::StreamPosition) => Ok(Some(position.get())),
            (Some(Start::Category(position)), Unit::StreamPosition) => {
                let rule = "a subscriber of one stream starts at a `Position`";
                Err(Invalid::new("start", position, rule))
            }
            (Some(Start::Stream(position)), Unit::GlobalPosition) => {
                let rule = "a subscriber of a category starts at a `GlobalPosition`";
                Err(Invalid::new("start", position, rule))
            }
        }
    }
}

/// `a` does, `a` and `b` do.
fn do_not(first: &str, more: &[&str]) -> String {
    match more.split_last() {
        None => format!("{first} does"),
        Some((last, between)) => {
            let mut named = vec![first];
            named.extend(between);
            format!("{} and {last} do", named.join(", "))
        }
    }
}
