// What is made of
//
//     #[reducer(AccountEvent, crate = ::es)]
//     impl<T> Counter<T>
//     where
//         T: Count,
//     {
//         fn deposited(&mut self, _: &Deposited) {
//             self.count.add();
//         }
//     }

#[allow(
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape of a reducer"
)]
impl<T> Counter<T>
where
    T: Count,
{
    fn deposited(&mut self, _: &Deposited) {
        self.count.add();
    }
}
#[automatically_derived]
impl<T> ::es::__private::Reducer for Counter<T>
where
    T: Count,
{
    type Set = AccountEvent;
    const READS_RECORDED: bool = false;
    fn reduce(
        &mut self,
        message: &AccountEvent,
        recorded: &::es::__private::Recorded,
    ) -> ::core::result::Result<(), ::es::__private::HandlerError> {
        ::es::__private::ReducedInto::reduce_into(message, self, recorded)
    }
}
#[automatically_derived]
impl<T> ::es::__private::Reduce<Deposited> for Counter<T>
where
    T: Count,
    AccountEvent: ::es::__private::Includes<Deposited>,
{
    fn reduce_message(
        &mut self,
        message: &Deposited,
        _: &::es::__private::Recorded,
    ) -> ::core::result::Result<(), ::es::__private::HandlerError> {
        ::es::__private::ReducerOutput::into_result(Self::deposited(self, message))
    }
}
