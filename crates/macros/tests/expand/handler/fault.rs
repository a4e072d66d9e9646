// What is made of
//
//     #[handler(AccountCommand)]
//     impl Teller {
//         fn deposit(&self, _: Received<Deposit>) {}
//     }

#[allow(clippy::unused_async, clippy::unused_self, reason = "the shape of a handler")]
impl Teller {
    fn deposit(&self, _: Received<Deposit>) {}
}
::core::compile_error! {
    "a handler is async: write `async fn deposit(&self, message: Received<Deposit>)`, or move it to another impl block"
}
#[automatically_derived]
impl ::evenfold::__private::Handler for Teller {
    type Set = AccountCommand;
    const NAME: &'static str = "Teller";
    async fn handle(
        &self,
        _: ::evenfold::__private::Received<AccountCommand>,
        _: &mut ::evenfold::__private::Context,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::core::unreachable!()
    }
}
