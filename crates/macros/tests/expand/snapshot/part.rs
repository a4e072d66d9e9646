// What is made of
//
//     #[derive(Shape)]
//     enum Held<T: Clone> {
//         Nothing,
//         Some(T, u32),
//         All { of: Vec<T> },
//     }

#[automatically_derived]
impl<T: Clone + ::evenfold::__private::Shape> ::evenfold::__private::Shape for Held<T> {
    const SHAPE: u64 = ::evenfold::__private::Outline::of("enum")
        .text(::core::module_path!())
        .text("Held")
        .part(<T as ::evenfold::__private::Shape>::SHAPE)
        .text("variant")
        .text("Nothing")
        .text("variant")
        .text("Some")
        .text("0")
        .part(<T as ::evenfold::__private::Shape>::SHAPE)
        .text("1")
        .part(<u32 as ::evenfold::__private::Shape>::SHAPE)
        .text("variant")
        .text("All")
        .text("of")
        .part(<Vec<T> as ::evenfold::__private::Shape>::SHAPE)
        .finish();
}
