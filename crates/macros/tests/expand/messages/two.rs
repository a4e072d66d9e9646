// What is made of
//
//     #[derive(Messages)]
//     #[messages(category = "account")]
//     enum AccountEvent {
//         Deposited(Deposited),
//         Closed(Closed),
//     }

#[automatically_derived]
impl ::core::convert::From<Deposited> for AccountEvent {
    fn from(message: Deposited) -> Self {
        Self::Deposited(message)
    }
}
#[automatically_derived]
impl ::evenfold::__private::Includes<Deposited> for AccountEvent {}
#[automatically_derived]
impl ::core::convert::From<Closed> for AccountEvent {
    fn from(message: Closed) -> Self {
        Self::Closed(message)
    }
}
#[automatically_derived]
impl ::evenfold::__private::Includes<Closed> for AccountEvent {}
const _: () = {
    const NAMES: &[::evenfold::__private::Names] = &[
        <Deposited as ::evenfold::__private::Member>::NAMES,
        <Closed as ::evenfold::__private::Member>::NAMES,
    ];
    const _: () = ::evenfold::__private::assert_distinct(
        NAMES,
        1usize,
        "`Closed` has a type name or an alias that an earlier message of the set has: give it another `#[message(type = \"…\")]`",
    );
    #[automatically_derived]
    impl ::evenfold::__private::Messages for AccountEvent {
        const CATEGORY: &'static str = "account";
        const TYPES: &'static [&'static str] = &::evenfold::__private::join::<
            { ::evenfold::__private::count(NAMES) },
        >(NAMES);
        fn decode(
            recorded: &::evenfold::__private::Recorded,
        ) -> ::core::result::Result<
            ::core::option::Option<Self>,
            ::evenfold::__private::DecodeError,
        > {
            ::core::result::Result::Ok(
                ::core::option::Option::Some(
                    if <Deposited as ::evenfold::__private::Member>::is_in(recorded) {
                        Self::Deposited(
                            <Deposited as ::evenfold::__private::Member>::read(recorded)?,
                        )
                    } else if <Closed as ::evenfold::__private::Member>::is_in(
                        recorded,
                    ) {
                        Self::Closed(
                            <Closed as ::evenfold::__private::Member>::read(recorded)?,
                        )
                    } else {
                        return ::core::result::Result::Ok(::core::option::Option::None);
                    },
                ),
            )
        }
    }
};
#[automatically_derived]
impl ::evenfold::__private::Encode for AccountEvent {
    fn encode(
        &self,
        id: ::evenfold::__private::Uuid,
    ) -> ::core::result::Result<
        ::evenfold::__private::NewMessage,
        ::evenfold::__private::Error,
    > {
        match self {
            Self::Deposited(message) => {
                <Deposited as ::evenfold::__private::Member>::write(message, id)
            }
            Self::Closed(message) => {
                <Closed as ::evenfold::__private::Member>::write(message, id)
            }
        }
    }
}
impl<__State> ::evenfold::__private::ReducedInto<__State> for AccountEvent
where
    __State: ::evenfold::__private::Reduce<Deposited>
        + ::evenfold::__private::Reduce<Closed>,
{
    fn reduce_into(
        &self,
        state: &mut __State,
        recorded: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        match self {
            Self::Deposited(message) => {
                ::evenfold::__private::Reduce::reduce_message(state, message, recorded)
            }
            Self::Closed(message) => {
                ::evenfold::__private::Reduce::reduce_message(state, message, recorded)
            }
        }
    }
}
impl<__Handler> ::evenfold::__private::HandledBy<__Handler> for AccountEvent
where
    __Handler: ::evenfold::__private::Handle<Deposited>
        + ::evenfold::__private::Handle<Closed>,
{
    async fn handled_by(
        received: ::evenfold::__private::Received<Self>,
        handler: &__Handler,
        context: &mut ::evenfold::__private::Context,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        let (message, origin) = ::evenfold::__private::split(received);
        match message {
            Self::Deposited(message) => {
                let received = origin.map(|()| message);
                ::evenfold::__private::Handle::handle_message(handler, received, context)
                    .await
            }
            Self::Closed(message) => {
                let received = origin.map(|()| message);
                ::evenfold::__private::Handle::handle_message(handler, received, context)
                    .await
            }
        }
    }
}
