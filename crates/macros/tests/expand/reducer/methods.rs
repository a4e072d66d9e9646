// What is made of
//
//     #[reducer(AccountEvent, skip(Closed))]
//     impl Account {
//         fn deposited(&mut self, event: &Deposited) {
//             self.balance += event.amount;
//         }
//         #[cfg(feature = "overdraft")]
//         fn withdrawn(&mut self, event: &Withdrawn, at: &Recorded) -> Result<(), Overdrawn> {
//             self.take(event.amount, at.time)
//         }
//     }

#[allow(
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape of a reducer"
)]
impl Account {
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
    #[cfg(feature = "overdraft")]
    fn withdrawn(&mut self, event: &Withdrawn, at: &Recorded) -> Result<(), Overdrawn> {
        self.take(event.amount, at.time)
    }
}
#[automatically_derived]
impl ::evenfold::__private::Reducer for Account {
    type Set = AccountEvent;
    const READS_RECORDED: bool = true;
    fn skips(message_type: &str) -> bool {
        ::evenfold::__private::is_named::<Closed>(message_type)
    }
    fn reduce(
        &mut self,
        message: &AccountEvent,
        recorded: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::evenfold::__private::ReducedInto::reduce_into(message, self, recorded)
    }
}
#[automatically_derived]
impl ::evenfold::__private::Reduce<Deposited> for Account
where
    AccountEvent: ::evenfold::__private::Includes<Deposited>,
{
    fn reduce_message(
        &mut self,
        message: &Deposited,
        _: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::evenfold::__private::ReducerOutput::into_result(Self::deposited(self, message))
    }
}
#[cfg(feature = "overdraft")]
#[automatically_derived]
impl ::evenfold::__private::Reduce<Withdrawn> for Account
where
    AccountEvent: ::evenfold::__private::Includes<Withdrawn>,
{
    fn reduce_message(
        &mut self,
        message: &Withdrawn,
        recorded: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::evenfold::__private::ReducerOutput::into_result(
            Self::withdrawn(self, message, recorded),
        )
    }
}
#[automatically_derived]
impl ::evenfold::__private::Reduce<Closed> for Account
where
    AccountEvent: ::evenfold::__private::Includes<Closed>,
{
    fn reduce_message(
        &mut self,
        _: &Closed,
        _: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::core::result::Result::Ok(())
    }
}
