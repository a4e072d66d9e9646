// What is made of
//
//     #[derive(Message)]
//     struct Deposited(u64);

::core::compile_error! {
    "the fields of a message have names, which are the keys of its data: write `struct Deposited { first: u64 }`"
}
#[automatically_derived]
impl ::evenfold::__private::Message for Deposited {
    const TYPE: &'static str = "Deposited";
    fn to_data<__S>(&self, _: __S) -> ::core::result::Result<__S::Ok, __S::Error>
    where
        __S: ::evenfold::__private::serde::Serializer,
    {
        ::core::unreachable!()
    }
    fn from_data<'de, __D>(_: __D) -> ::core::result::Result<Self, __D::Error>
    where
        __D: ::evenfold::__private::serde::Deserializer<'de>,
    {
        ::core::unreachable!()
    }
}
