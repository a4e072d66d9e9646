// What is made of
//
//     #[derive(Message)]
//     struct Closed;

const _: () = {
    #[derive(
        ::evenfold::__private::serde::Serialize,
        ::evenfold::__private::serde::Deserialize
    )]
    #[serde(
        crate = "::evenfold::__private::serde",
        remote = "Closed",
        rename_all = "camelCase"
    )]
    struct __DataOfClosed {}
    #[automatically_derived]
    impl ::evenfold::__private::Message for Closed {
        const TYPE: &'static str = "Closed";
        fn to_data<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::evenfold::__private::serde::Serializer,
        {
            __DataOfClosed::serialize(self, serializer)
        }
        fn from_data<'de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: ::evenfold::__private::serde::Deserializer<'de>,
        {
            __DataOfClosed::deserialize(deserializer)
        }
    }
};
