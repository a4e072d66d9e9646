// What is made of
//
//     #[derive(Snapshot)]
//     #[serde(rename_all = "camelCase")]
//     #[snapshot(revision = 2)]
//     struct FundsTransfer {
//         amount: u64,
//         #[serde(rename = "to")]
//         target: Option<AccountId>,
//         #[snapshot(revision = 1)]
//         rate: Decimal,
//         #[serde(skip)]
//         seen: Instant,
//         #[serde(default = "now", skip)]
//         read: Instant,
//         #[serde(with = "text")]
//         #[snapshot(revision = 4)]
//         note: Note,
//     }

#[automatically_derived]
impl ::evenfold::__private::Shape for FundsTransfer {
    const SHAPE: u64 = ::evenfold::__private::Outline::of("struct")
        .text(::core::module_path!())
        .text("FundsTransfer")
        .text("serde ( rename_all = \"camelCase\" ) ")
        .text("amount")
        .part(<u64 as ::evenfold::__private::Shape>::SHAPE)
        .text("target")
        .text("serde ( rename = \"to\" ) ")
        .part(<Option<AccountId> as ::evenfold::__private::Shape>::SHAPE)
        .text("rate")
        .part(1)
        .text("note")
        .text("serde ( with = \"text\" ) ")
        .part(4)
        .text("revision")
        .part(2)
        .finish();
}
#[automatically_derived]
impl ::evenfold::__private::Snapshot for FundsTransfer {
    const NAME: &'static str = "fundsTransfer";
}
