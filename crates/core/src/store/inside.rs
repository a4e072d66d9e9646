//! Whether the code that runs belongs to what a handler does in its transaction.
//!
//! Owns the mark by which a store that has one writer at a time knows a handler that would wait for
//! itself. Who hands out marks is `transaction.rs`, through the store; who runs handlers by them is the
//! subscriber of the `evenfold` crate.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

thread_local! {
    /// The marks of the futures that this thread is polling now, the outermost first. It is empty
    /// between two polls, so nothing is kept here.
    static HERE: RefCell<Vec<Inside>> = const { RefCell::new(Vec::new()) };
}

/// The mark of one transaction, by which its store knows whether a call comes from inside of what the
/// handlers do in it; clones are the same mark.
///
/// A task that a handler begins, with `spawn`, is not inside: it can go on when the handler has ended.
///
/// # Examples
///
/// ```
/// use evenfold_core::store::Inside;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mark = Inside::new();
/// assert!(mark.run(async { mark.is_here() }).await);
/// assert!(!mark.is_here());
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Inside(Arc<()>);

impl Inside {
    /// A mark that is like no other.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a future by this mark: whatever it awaits by itself is inside.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _polled = Polled::by(self);
            future.as_mut().poll(context)
        })
        .await
    }

    /// Whether who calls this is inside.
    pub fn is_here(&self) -> bool {
        HERE.with_borrow(|here| here.iter().any(|mark| mark.is(self)))
    }

    /// Whether this is the same mark.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A future of a mark while it is polled; it ends by a panic too.
struct Polled;

impl Polled {
    fn by(mark: &Inside) -> Self {
        HERE.with_borrow_mut(|here| here.push(mark.clone()));
        Self
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        HERE.with_borrow_mut(Vec::pop);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::AssertUnwindSafe;

    use futures::{FutureExt, future, poll};

    use super::*;

    #[test]
    fn only_what_runs_by_a_mark_is_inside() {
        let (outer, inner) = (Inside::new(), Inside::new());
        let seen = || (outer.is_here(), inner.is_here());
        let nested = outer.run(async { (seen(), inner.run(async { seen() }).await, seen()) });
        let nested = nested.now_or_never();
        assert_eq!(nested, Some(((true, false), (true, true), (true, false))));
        assert_eq!(seen(), (false, false));
        assert!(outer.run(async { outer.clone().is_here() }).now_or_never().is_some_and(|is| is));
    }

    #[tokio::test]
    async fn who_runs_beside_it_in_the_same_task_is_not_inside() {
        let mark = Inside::new();
        let mut handler = pin!(mark.run(future::pending::<()>()));
        assert!(poll!(&mut handler).is_pending());
        assert!(!mark.is_here(), "between two polls it is somebody else's turn");
        let (inside, beside) =
            future::join(mark.run(async { mark.is_here() }), async { mark.is_here() }).await;
        assert_eq!((inside, beside), (true, false));
    }

    #[test]
    fn a_panic_ends_it_too() {
        let mark = Inside::new();
        let panics = mark.run(async { panic!("on purpose") });
        let caught = AssertUnwindSafe(panics).catch_unwind().now_or_never();
        assert!(caught.is_some_and(|caught: Result<(), _>| caught.is_err()));
        assert!(!mark.is_here());
    }
}
