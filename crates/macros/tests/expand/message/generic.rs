// What is made of
//
//     #[derive(Message)]
//     #[message(verbatim_keys, crate = ::es)]
//     #[serde(default)]
//     struct Noted<T: Clone, U> {
//         notes: Vec<T>,
//         unit: PhantomData<U>,
//     }

const _: () = {
    #[derive(::es::__private::serde::Serialize, ::es::__private::serde::Deserialize)]
    #[serde(
        crate = "::es::__private::serde",
        remote = "Noted",
        default = "::core::default::Default::default"
    )]
    struct __DataOfNoted<T: Clone, U>
    where
        Noted<T, U>: ::core::default::Default,
    {
        notes: Vec<T>,
        unit: PhantomData<U>,
    }
    #[automatically_derived]
    impl<T: Clone, U> ::es::__private::Message for Noted<T, U>
    where
        Noted<T, U>: ::core::default::Default,
        T: ::es::__private::serde::Serialize
            + ::es::__private::serde::de::DeserializeOwned,
        Noted<T, U>: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        const TYPE: &'static str = "Noted";
        fn to_data<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::es::__private::serde::Serializer,
        {
            __DataOfNoted::serialize(self, serializer)
        }
        fn from_data<'de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: ::es::__private::serde::Deserializer<'de>,
        {
            __DataOfNoted::deserialize(deserializer)
        }
    }
};
