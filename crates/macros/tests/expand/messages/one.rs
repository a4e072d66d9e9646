// What is made of
//
//     #[derive(Messages)]
//     #[messages(category = "account:command", crate = es)]
//     pub(crate) enum AccountCommand {
//         r#Move(events::Move<u64>),
//     }

#[automatically_derived]
impl ::core::convert::From<events::Move<u64>> for AccountCommand {
    fn from(message: events::Move<u64>) -> Self {
        Self::r#Move(message)
    }
}
#[automatically_derived]
impl es::__private::Includes<events::Move<u64>> for AccountCommand {}
const _: () = {
    const NAMES: &[es::__private::Names] = &[
        <events::Move<u64> as es::__private::Member>::NAMES,
    ];
    #[automatically_derived]
    impl es::__private::Messages for AccountCommand {
        const CATEGORY: &'static str = "account:command";
        const TYPES: &'static [&'static str] = &es::__private::join::<
            { es::__private::count(NAMES) },
        >(NAMES);
        fn decode(
            recorded: &es::__private::Recorded,
        ) -> ::core::result::Result<
            ::core::option::Option<Self>,
            es::__private::DecodeError,
        > {
            ::core::result::Result::Ok(
                ::core::option::Option::Some(
                    if <events::Move<u64> as es::__private::Member>::is_in(recorded) {
                        Self::r#Move(
                            <events::Move<u64> as es::__private::Member>::read(recorded)?,
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
impl es::__private::Encode for AccountCommand {
    fn encode(
        &self,
        id: es::__private::Uuid,
    ) -> ::core::result::Result<es::__private::NewMessage, es::__private::Error> {
        match self {
            Self::r#Move(message) => {
                <events::Move<u64> as es::__private::Member>::write(message, id)
            }
        }
    }
}
impl<__State> es::__private::ReducedInto<__State> for AccountCommand
where
    __State: es::__private::Reduce<events::Move<u64>>,
{
    fn reduce_into(
        &self,
        state: &mut __State,
        recorded: &es::__private::Recorded,
    ) -> ::core::result::Result<(), es::__private::HandlerError> {
        match self {
            Self::r#Move(message) => {
                es::__private::Reduce::reduce_message(state, message, recorded)
            }
        }
    }
}
impl<__Handler> es::__private::HandledBy<__Handler> for AccountCommand
where
    __Handler: es::__private::Handle<events::Move<u64>>,
{
    async fn handled_by(
        received: es::__private::Received<Self>,
        handler: &__Handler,
        context: &mut es::__private::Context,
    ) -> ::core::result::Result<(), es::__private::HandlerError> {
        let (message, origin) = es::__private::split(received);
        match message {
            Self::r#Move(message) => {
                let received = origin.map(|()| message);
                es::__private::Handle::handle_message(handler, received, context).await
            }
        }
    }
}
