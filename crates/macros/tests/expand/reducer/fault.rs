// What is made of
//
//     #[reducer(AccountEvent)]
//     impl Account {
//         async fn deposited(&mut self, event: &Deposited) {}
//     }

#[allow(
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape of a reducer"
)]
impl Account {
    async fn deposited(&mut self, event: &Deposited) {}
}
::core::compile_error! {
    "a reducer is not async: write `fn deposited(&mut self, event: &Deposited)`, or move it to another impl block"
}
#[automatically_derived]
impl ::evenfold::__private::Reducer for Account {
    type Set = AccountEvent;
    fn reduce(
        &mut self,
        _: &AccountEvent,
        _: &::evenfold::__private::Recorded,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::core::unreachable!()
    }
}
