// What is made of
//
//     #[derive(Message)]
//     #[message(type = "Deposited", alias = "PaidIn")]
//     struct Deposit {
//         /// In cents.
//         amount_in_cents: u64,
//         #[serde(rename = "text", default)]
//         note: Option<String>,
//     }

const _: () = {
    #[derive(
        ::evenfold::__private::serde::Serialize,
        ::evenfold::__private::serde::Deserialize
    )]
    #[serde(
        crate = "::evenfold::__private::serde",
        remote = "Deposit",
        rename_all = "camelCase"
    )]
    struct __DataOfDeposit {
        amount_in_cents: u64,
        #[serde(rename = "text", default)]
        note: Option<String>,
    }
    #[automatically_derived]
    impl ::evenfold::__private::Message for Deposit {
        const TYPE: &'static str = "Deposited";
        const ALIASES: &'static [&'static str] = &["PaidIn"];
        fn to_data<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::evenfold::__private::serde::Serializer,
        {
            __DataOfDeposit::serialize(self, serializer)
        }
        fn from_data<'de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: ::evenfold::__private::serde::Deserializer<'de>,
        {
            __DataOfDeposit::deserialize(deserializer)
        }
    }
};
