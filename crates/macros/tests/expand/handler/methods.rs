// What is made of
//
//     #[handler(AccountCommand, skip(Close))]
//     impl Teller {
//         async fn deposit(&self, message: Received<Deposit>) {
//             self.ledger.add(message.amount).await;
//         }
//         async fn withdraw(
//             &self,
//             message: evenfold::Received<Withdraw>,
//             context: &mut Context,
//         ) -> Result<Receipt, Overdrawn> {
//             self.ledger.take(message.amount, context).await
//         }
//     }

#[allow(clippy::unused_async, clippy::unused_self, reason = "the shape of a handler")]
impl Teller {
    async fn deposit(&self, message: Received<Deposit>) {
        self.ledger.add(message.amount).await;
    }
    async fn withdraw(
        &self,
        message: evenfold::Received<Withdraw>,
        context: &mut Context,
    ) -> Result<Receipt, Overdrawn> {
        self.ledger.take(message.amount, context).await
    }
}
#[automatically_derived]
impl ::evenfold::__private::Handler for Teller
where
    Teller: ::core::marker::Send + ::core::marker::Sync + 'static,
{
    type Set = AccountCommand;
    const NAME: &'static str = "Teller";
    fn skips(message_type: &str) -> bool {
        ::evenfold::__private::is_named::<Close>(message_type)
    }
    async fn handle(
        &self,
        received: ::evenfold::__private::Received<AccountCommand>,
        context: &mut ::evenfold::__private::Context,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::evenfold::__private::HandledBy::handled_by(received, self, context).await
    }
}
#[automatically_derived]
impl ::evenfold::__private::Handle<Deposit> for Teller
where
    Teller: ::core::marker::Send + ::core::marker::Sync + 'static,
    AccountCommand: ::evenfold::__private::Includes<Deposit>,
{
    async fn handle_message(
        &self,
        received: ::evenfold::__private::Received<Deposit>,
        _: &mut ::evenfold::__private::Context,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::evenfold::__private::HandlerOutput::into_result(
            Self::deposit(self, received).await,
        )
    }
}
#[automatically_derived]
impl ::evenfold::__private::Handle<Withdraw> for Teller
where
    Teller: ::core::marker::Send + ::core::marker::Sync + 'static,
    AccountCommand: ::evenfold::__private::Includes<Withdraw>,
{
    async fn handle_message(
        &self,
        received: ::evenfold::__private::Received<Withdraw>,
        context: &mut ::evenfold::__private::Context,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::evenfold::__private::HandlerOutput::into_result(
            Self::withdraw(self, received, context).await,
        )
    }
}
#[automatically_derived]
impl ::evenfold::__private::Handle<Close> for Teller
where
    Teller: ::core::marker::Send + ::core::marker::Sync + 'static,
    AccountCommand: ::evenfold::__private::Includes<Close>,
{
    async fn handle_message(
        &self,
        _: ::evenfold::__private::Received<Close>,
        _: &mut ::evenfold::__private::Context,
    ) -> ::core::result::Result<(), ::evenfold::__private::HandlerError> {
        ::core::result::Result::Ok(())
    }
}
