// What is made of
//
//     #[derive(Snapshot)]
//     #[snapshot(name = "held", crate = ::es)]
//     struct Held<T, const SIZE: usize>(T);

#[automatically_derived]
impl<T: ::es::__private::Shape, const SIZE: usize> ::es::__private::Shape
for Held<T, SIZE> {
    const SHAPE: u64 = ::es::__private::Outline::of("struct")
        .text(::core::module_path!())
        .text("Held")
        .part(<T as ::es::__private::Shape>::SHAPE)
        .part(SIZE as u64)
        .text("0")
        .part(<T as ::es::__private::Shape>::SHAPE)
        .finish();
}
#[automatically_derived]
impl<T: ::es::__private::Shape, const SIZE: usize> ::es::__private::Snapshot
for Held<T, SIZE>
where
    Self: ::es::__private::serde::Serialize
        + ::es::__private::serde::de::DeserializeOwned + ::core::marker::Send + 'static,
{
    const NAME: &'static str = "held";
}
