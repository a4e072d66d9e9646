// What is made of
//
//     #[derive(Snapshot)]
//     #[snapshot(name = "held", crate = ::es)]
//     struct Held<T>(T);

#[automatically_derived]
impl<T: ::es::__private::Shape> ::es::__private::Shape for Held<T> {
    const SHAPE: u64 = ::es::__private::Outline::of("struct")
        .text("0")
        .part(<T as ::es::__private::Shape>::SHAPE)
        .finish();
}
#[automatically_derived]
impl<T: ::es::__private::Shape> ::es::__private::Snapshot for Held<T>
where
    Self: ::es::__private::serde::Serialize
        + ::es::__private::serde::de::DeserializeOwned + ::core::marker::Send + 'static,
{
    const NAME: &'static str = "held";
}
