//! The fingerprint of what is kept of a type.
//!
//! Owns [`Shape`] and how it is computed. What of a user's type counts is decided by the derive, in
//! `macros/snapshot.rs`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8,
    NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize,
};
use std::sync::Arc;

/// The fingerprint of what is kept of a type: of its kind, its module and name, its parameters, the
/// names of its fields and variants, serde's attributes, and the shapes of the types within.
///
/// It is part of no other promise than this: for the same source it is the same on every machine
/// and by every compiler, and when one of the things above changes, it changes.
///
/// The types with a shape are those of `serde`'s data model that a state is made of:
///
/// - `bool`, `char`, `String`, `str`, `()`, the numbers, and the `NonZero` ones; `Duration`;
/// - `Uuid`, `OffsetDateTime`, `Date`, `Time`, and `serde_json::Value`;
/// - [`Category`](crate::Category), [`EntityId`](crate::EntityId), [`StreamName`](crate::StreamName),
///   [`Position`](crate::Position) and [`GlobalPosition`](crate::GlobalPosition);
/// - `Option`, `Vec`, `VecDeque`, slices, arrays, the sets and maps of the standard library, and tuples
///   of up to four;
/// - `Box`, `Cow` and, with serde's feature `rc`, `Arc`, by what they hold; `PhantomData`.
///
/// `#[derive(Shape)]` writes it for a type that is part of a state; for the state itself it comes
/// with `#[derive(Snapshot)]`.
#[diagnostic::on_unimplemented(
    message = "the shape of `{Self}` is not known",
    label = "part of a snapshot, and without a `Shape`",
    note = "write `#[derive(Shape)]` on `{Self}`; if it comes from another crate, say on the field \
            how often what it keeps has changed: `#[snapshot(revision = 1)]`"
)]
pub trait Shape {
    /// The fingerprint.
    const SHAPE: u64;
}

/// A fingerprint that grows by what a type is made of: FNV-1a of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct Outline(u64);

impl Outline {
    /// Begins with the kind of a type, such as `struct`.
    pub const fn of(kind: &str) -> Self {
        Self(0xcbf2_9ce4_8422_2325).text(kind)
    }

    /// Takes in a name. Its length goes first, so that `ab`, `c` is not `a`, `bc`.
    #[must_use]
    pub const fn text(self, text: &str) -> Self {
        let mut outline = self.length(text.len());
        let mut rest = text.as_bytes();
        while let [byte, others @ ..] = rest {
            outline = outline.byte(*byte);
            rest = others;
        }
        outline
    }

    /// Takes in the shape of a part, or a number.
    #[must_use]
    pub const fn part(self, shape: u64) -> Self {
        let (mut outline, bytes) = (self, shape.to_le_bytes());
        let mut rest = bytes.as_slice();
        while let [byte, others @ ..] = rest {
            outline = outline.byte(*byte);
            rest = others;
        }
        outline
    }

    /// The fingerprint.
    pub const fn finish(self) -> u64 {
        self.0
    }

    #[expect(clippy::as_conversions, reason = "`From` is not const; nothing is cut off")]
    const fn length(self, length: usize) -> Self {
        self.part(length as u64)
    }

    #[expect(clippy::as_conversions, reason = "`From` is not const; nothing is cut off")]
    const fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3))
    }
}

/// Types that are themselves: their name is their shape.
macro_rules! plain {
    ($($name:literal: $ty:ty),* $(,)?) => {$(
        impl Shape for $ty {
            const SHAPE: u64 = Outline::of($name).finish();
        }
    )*};
}

plain! {
    "bool": bool, "char": char, "f32": f32, "f64": f64,
    "u8": u8, "u16": u16, "u32": u32, "u64": u64, "u128": u128, "usize": usize,
    "i8": i8, "i16": i16, "i32": i32, "i64": i64, "i128": i128, "isize": isize,
    "text": String, "text": str, "unit": (), "duration": std::time::Duration, "uuid": uuid::Uuid,
    "date time": time::OffsetDateTime, "date": time::Date, "time": time::Time,
    "json": serde_json::Value, "category": crate::Category, "entity id": crate::EntityId,
    "stream name": crate::StreamName, "position": crate::Position,
    "global position": crate::GlobalPosition,
}

/// Types that are written as what they hold.
macro_rules! as_within {
    ($([$($param:tt)*] $ty:ty: $within:ty),* $(,)?) => {$(
        impl<$($param)*> Shape for $ty {
            const SHAPE: u64 = <$within as Shape>::SHAPE;
        }
    )*};
}

as_within! {
    [T: Shape + ?Sized] Box<T>: T,
    [T: Shape + ToOwned + ?Sized] Cow<'_, T>: T,
    [T: Shape + ?Sized] Arc<T>: T,
    [] NonZeroU8: u8, [] NonZeroU16: u16, [] NonZeroU32: u32, [] NonZeroU64: u64,
    [] NonZeroU128: u128, [] NonZeroUsize: usize, [] NonZeroI8: i8, [] NonZeroI16: i16,
    [] NonZeroI32: i32, [] NonZeroI64: i64, [] NonZeroI128: i128, [] NonZeroIsize: isize,
}

/// Types whose kind and parts are their shape.
macro_rules! made_of {
    ($([$($param:tt)*] $ty:ty: $kind:literal of $($part:ty),*);* $(;)?) => {$(
        impl<$($param)*> Shape for $ty {
            const SHAPE: u64 = Outline::of($kind)$(.part(<$part as Shape>::SHAPE))*.finish();
        }
    )*};
}

made_of! {
    [T: Shape] Option<T>: "option" of T;
    [T: Shape] [T]: "list" of T;
    [T: Shape] Vec<T>: "list" of T;
    [T: Shape] VecDeque<T>: "list" of T;
    [T: Shape] BTreeSet<T>: "set" of T;
    [T: Shape, S] HashSet<T, S>: "set" of T;
    [K: Shape, V: Shape] BTreeMap<K, V>: "map" of K, V;
    [K: Shape, V: Shape, S] HashMap<K, V, S>: "map" of K, V;
    [T: ?Sized] PhantomData<T>: "nothing" of;
    [A: Shape] (A,): "tuple" of A;
    [A: Shape, B: Shape] (A, B): "tuple" of A, B;
    [A: Shape, B: Shape, C: Shape] (A, B, C): "tuple" of A, B, C;
    [A: Shape, B: Shape, C: Shape, D: Shape] (A, B, C, D): "tuple" of A, B, C, D;
}

impl<T: Shape, const N: usize> Shape for [T; N] {
    #[expect(clippy::as_conversions, reason = "`From` is not const; nothing is cut off")]
    const SHAPE: u64 = Outline::of("array").part(N as u64).part(T::SHAPE).finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed apart from this code, by the definition of FNV-1a. Snapshots outlive a release: a fingerprint that changes by itself throws all of them away.
    #[test]
    fn fingerprints_stay_what_they_are() {
        assert_eq!(<Vec<Option<u64>> as Shape>::SHAPE, 0x77b9_5af2_35f0_217a);
        assert_eq!(<HashMap<String, (u8, bool)> as Shape>::SHAPE, 0xbc1c_0802_80d6_c285);
        assert_eq!(
            Outline::of("struct").text("balance").part(u64::SHAPE).finish(),
            0x2a61_bd61_e656_dfa4
        );
    }

    #[test]
    fn what_is_written_differently_has_another_shape() {
        let shapes = [
            u32::SHAPE,
            u64::SHAPE,
            <Option<u64> as Shape>::SHAPE,
            <Vec<u64> as Shape>::SHAPE,
            <Vec<Vec<u64>> as Shape>::SHAPE,
            <BTreeMap<u64, u32> as Shape>::SHAPE,
            <BTreeMap<u32, u64> as Shape>::SHAPE,
            <(u64, u32) as Shape>::SHAPE,
            <(u32, u64) as Shape>::SHAPE,
            <[u64; 2] as Shape>::SHAPE,
            <[u64; 3] as Shape>::SHAPE,
            Outline::of("struct").text("ab").text("c").finish(),
            Outline::of("struct").text("a").text("bc").finish(),
        ];
        assert_eq!(shapes.iter().collect::<BTreeSet<_>>().len(), shapes.len());
    }

    #[test]
    fn what_is_written_alike_has_one_shape() {
        assert_eq!(<Box<u64> as Shape>::SHAPE, u64::SHAPE);
        assert_eq!(<Box<[u64]> as Shape>::SHAPE, <VecDeque<u64> as Shape>::SHAPE);
        assert_eq!(<Arc<str> as Shape>::SHAPE, String::SHAPE);
        assert_eq!(NonZeroI64::SHAPE, i64::SHAPE);
        assert_eq!(<Cow<'static, str> as Shape>::SHAPE, str::SHAPE);
        assert_eq!(<HashMap<u8, u8> as Shape>::SHAPE, <BTreeMap<u8, u8> as Shape>::SHAPE);
    }
}
