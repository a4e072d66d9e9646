// What is made of
//
//     #[handler(AccountCommand, name = "teller", crate = es)]
//     impl<L: Ledger> Teller<L> {
//         async fn deposit(&self, _: Received<Deposit>) {}
//     }

#[allow(clippy::unused_async, clippy::unused_self, reason = "the shape of a handler")]
impl<L: Ledger> Teller<L> {
    async fn deposit(&self, _: Received<Deposit>) {}
}
#[automatically_derived]
impl<L: Ledger> es::__private::Handler for Teller<L>
where
    Teller<L>: ::core::marker::Send + ::core::marker::Sync + 'static,
{
    type Set = AccountCommand;
    const NAME: &'static str = "teller";
    async fn handle(
        &self,
        received: es::__private::Received<AccountCommand>,
        context: &mut es::__private::Context,
    ) -> ::core::result::Result<(), es::__private::HandlerError> {
        es::__private::HandledBy::handled_by(received, self, context).await
    }
}
#[automatically_derived]
impl<L: Ledger> es::__private::Handle<Deposit> for Teller<L>
where
    Teller<L>: ::core::marker::Send + ::core::marker::Sync + 'static,
    AccountCommand: es::__private::Includes<Deposit>,
{
    async fn handle_message(
        &self,
        received: es::__private::Received<Deposit>,
        _: &mut es::__private::Context,
    ) -> ::core::result::Result<(), es::__private::HandlerError> {
        es::__private::HandlerOutput::into_result(Self::deposit(self, received).await)
    }
}
