// What is made of
//
//     #[derive(Messages)]
//     enum AccountEvent {
//         Deposited(Deposited),
//     }

::core::compile_error! {
    "a set of messages names its category: write `#[messages(category = \"account\")]` above the enum"
}
#[automatically_derived]
impl ::core::convert::From<Deposited> for AccountEvent {
    fn from(message: Deposited) -> Self {
        Self::Deposited(message)
    }
}
#[automatically_derived]
impl ::evenfold::__private::Includes<Deposited> for AccountEvent {}
#[automatically_derived]
impl ::evenfold::__private::Messages for AccountEvent {
    const CATEGORY: &'static str = "none";
    const TYPES: &'static [&'static str] = &[];
    fn decode(
        _: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<
        ::core::option::Option<Self>,
        ::evenfold::__private::DecodeError,
    > {
        ::core::unreachable!()
    }
}
#[automatically_derived]
impl ::evenfold::__private::Encode for AccountEvent {
    fn encode(
        &self,
        _: ::evenfold::__private::Uuid,
    ) -> ::core::result::Result<
        ::evenfold::__private::NewMessage,
        ::evenfold::__private::Error,
    > {
        ::core::unreachable!()
    }
}
#[automatically_derived]
impl<__State> ::evenfold::__private::ReducedInto<__State> for AccountEvent {
    fn reduce_into(
        &self,
        _: &mut __State,
        _: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::core::unreachable!()
    }
}
#[automatically_derived]
impl<__Handler> ::evenfold::__private::HandledBy<__Handler> for AccountEvent {
    fn handled_by(
        _: ::evenfold::__private::Received<Self>,
        _: &__Handler,
        _: &mut ::evenfold::__private::Context,
    ) -> impl ::evenfold::__private::Future<
        Output = ::core::result::Result<(), ::evenfold::__private::HandlerError>,
    > + ::core::marker::Send {
        async { ::core::unreachable!() }
    }
}
