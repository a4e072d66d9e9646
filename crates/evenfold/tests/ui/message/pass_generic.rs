use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use evenfold::prelude::*;

#[derive(Default)]
struct Unit;

#[derive(Message, Default)]
#[serde(default)]
struct Noted<K: Ord, V, U = Unit, const N: usize = 2>
where
    V: Debug + Clone,
{
    notes: BTreeMap<K, Vec<V>>,
    unit: PhantomData<U>,
}

#[derive(Message)]
struct Told<T> {
    #[serde(skip)]
    seen: T,
    #[serde(default)]
    how: T,
}

fn is_message<M: Message>() {}

fn main() {
    is_message::<Noted<String, u64>>();
    is_message::<Told<u8>>();
}
